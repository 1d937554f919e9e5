"""Pods with keys of other multi-network systems, translated as they are made: ``--systems danm,genie,...``.

``reading`` finds the foreign objects that a translator asks for, ``webhook`` answers admission. The translators
themselves are in ``podnet_compat.systems`` and know nothing of an API server.
"""
