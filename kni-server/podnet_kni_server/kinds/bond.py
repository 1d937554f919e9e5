"""Datapath bond: over interfaces that earlier entries of the Pod's list attach. Pure."""

from __future__ import annotations

from podnet_api import kni, reasons

from podnet_kni_server.details import BondDetail
from podnet_kni_server.errors import AttachError
from podnet_kni_server.kinds import kind
from podnet_kni_server.kinds.kind import Kind, Request, Shape
from podnet_kni_server.records import Sandbox


def _spec(config: kni.NetworkConfig) -> kni.Bond:
    assert config.spec.bond is not None
    return config.spec.bond


def _shape(sandbox: Sandbox, request: Request) -> Shape:
    spec = _spec(request.config)
    own_mac = spec.fail_over_mac == "none"
    if request.own.mac and not own_mac:
        message = f"spec.mac is not supported with failOverMac of NetworkConfig {request.config.metadata.name}"
        raise AttachError(f"cannot attach Pod {sandbox.pod}: {message}", reasons.PARAMS_UNSUPPORTED)
    detail = BondDetail(
        parts=list(spec.links),
        mode=spec.mode,
        miimon=spec.miimon,
        xmit_hash_policy=spec.xmit_hash_policy,
        fail_over_mac=spec.fail_over_mac,
    )
    return Shape(kind="bond", detail=detail, own_mac=own_mac)


def _parts(config: kni.NetworkConfig) -> tuple[str, ...]:
    return tuple(_spec(config).links)


KIND = Kind(
    _shape,
    kind.nothing_on_node,
    kind.plenty,
    takes=kind.COMMON | kind.EXTRAS,
    needs=("bond",),
    parts=_parts,
    bare_parts=True,
)
