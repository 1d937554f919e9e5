"""YAML files with legacy annotations -> native manifests with ``spec.networks``, comments and order kept.

``document`` takes files apart and puts them together again, ``edit`` changes one document, ``rewrite`` decides what
becomes of each. All pure; ``podnet_compat.cli`` reads and writes the files.
"""
