"""What an interface is to have on top of its kind: planned here, applied by datapath.extras. Pure."""

from __future__ import annotations

from podnet_kni_server.details import Extras
from podnet_kni_server.kinds.kind import Request


def of(request: Request) -> Extras | None:
    """The extras that network and attachment ask for; None: none, which costs nothing on the hot path."""
    return None
