"""What builds, runs and takes down podnet's own world: the programs behind the Makefile's targets.

Users of podnet never read this package; its maintainers do. Nothing outside hack/ and tests/ imports it.
"""
