"""Which interfaces get an address by DHCP. Pure; called by plan, carried out by composite."""

from __future__ import annotations

from podnet_kni_server.details import DhcpRecord
from podnet_kni_server.kinds.kind import Request
from podnet_kni_server.records import Sandbox


def of(sandbox: Sandbox, request: Request) -> DhcpRecord | None:
    """What the lease of ``request`` needs; None where no address comes by DHCP: also where the attachment has a
    static one instead."""
    ipam = request.config.spec.ipam
    if ipam is None or ipam.dhcp is None or any(address.version == 4 for address in request.static):
        return None
    return DhcpRecord(
        network=request.config.metadata.name,
        namespace=sandbox.namespace,
        pod=sandbox.name,
        uid=sandbox.uid,
        sandbox=sandbox.id,
        host_name=ipam.dhcp.host_name,
        default=4 in request.default_versions,
    )


def leads(request: Request, version: int) -> bool:
    """Whether the default route of a family is the DHCP server's to name."""
    ipam = request.config.spec.ipam
    return version == 4 and ipam is not None and ipam.dhcp is not None
