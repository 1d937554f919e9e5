"""Kinds of links that are not made in the batch of attach.py: one module for each, listed in MAKERS."""

from collections.abc import Mapping

from podnet_kni_server.datapath.makers.maker import Maker

MAKERS: Mapping[str, Maker] = {}
"""By Link.kind."""
