"""Datapath userspace: a directory for the socket of a user-space switch, shared with the Pod. Pure."""

from __future__ import annotations

from podnet_api import kni

from podnet_kni_server.details import UserspaceDetail
from podnet_kni_server.kinds import kind
from podnet_kni_server.kinds.kind import Kind, Request, Shape
from podnet_kni_server.records import Sandbox

DIRECTORY = "/run/kni/userspace"
"""On the node. One directory for each sandbox, one for each of its interfaces in it."""
MOUNT = "/run/podnet"
"""In the containers: one directory for each interface."""
SOCKETS = {"vhost-user": "vhost-user.sock", "memif": "memif.sock"}
"""Name of the socket by its type."""


def _shape(sandbox: Sandbox, request: Request) -> Shape:
    spec = request.config.spec.userspace or kni.Userspace()
    detail = UserspaceDetail(
        protocol=spec.type,
        role=spec.role,
        directory=f"{DIRECTORY}/{sandbox.id}/{request.interface}",
        mount=f"{MOUNT}/{request.interface}",
        socket=SOCKETS[spec.type],
        pod=sandbox.pod,
        network=request.network,
    )
    return Shape(kind="userspace", detail=detail, own_default=True)


KIND = Kind(
    _shape,
    kind.nothing_on_node,
    kind.plenty,
    takes=kind.COMMON - {"routes"},
    extras=False,
)
