"""Datapath vrf: a routing table for interfaces that earlier entries of the Pod's list attach. Pure."""

from __future__ import annotations

from podnet_api import kni, reasons

from podnet_kni_server.details import VrfDetail
from podnet_kni_server.errors import AttachError
from podnet_kni_server.kinds import kind
from podnet_kni_server.kinds.kind import Kind, Request, Shape
from podnet_kni_server.records import Sandbox


def _spec(config: kni.NetworkConfig) -> kni.Vrf:
    assert config.spec.vrf is not None
    return config.spec.vrf


def _shape(sandbox: Sandbox, request: Request) -> Shape:
    if request.default_versions:
        message = f"a default route cannot lead over {request.network}, a VRF: ask for it over one of its members"
        raise AttachError(f"cannot attach Pod {sandbox.pod}: {message}", reasons.PARAMS_INVALID)
    spec = _spec(request.config)
    return Shape(kind="vrf", detail=VrfDetail(parts=list(spec.members), table=spec.table), own_mac=False)


def _parts(config: kni.NetworkConfig) -> tuple[str, ...]:
    return tuple(_spec(config).members)


KIND = Kind(
    _shape,
    kind.nothing_on_node,
    kind.plenty,
    takes=(kind.COMMON | kind.EXTRAS) - {"mac"},
    needs=("vrf",),
    parts=_parts,
)
