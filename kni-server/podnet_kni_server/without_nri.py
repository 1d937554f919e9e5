"""A node whose runtime has no NRI: the CNI shim is the only hook. What lives is known by the records, and containers
cannot be given anything: no devices, no shared directories, no networks.json, no variables, no resolv.conf.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from podnet_kni_server import containers
from podnet_kni_server.records import Record, Sandbox, State

Annotations = Callable[[str, str, str], Mapping[str, str] | None]
"""From namespace, name and uid of a Pod to its annotations, as far as they are known."""


def alive(records: Iterable[Record]) -> list[Record]:
    """Those that were attached whole and still have their namespace. What was half done when the server ended is none:
    the runtime had an error for its ADD."""
    return [record for record in records if record.state is State.ATTACHED and os.path.exists(record.netns)]


def sandboxes(records: Iterable[Record], annotations: Annotations) -> dict[str, Sandbox]:
    """Those of ``alive`` whose Pods are known, by id: that nothing is known of a Pod does not mean that it wants no
    networks."""
    found = [(r, annotations(r.namespace, r.name, r.uid)) for r in alive(records)]
    return {record.sandbox: sandbox(record, own) for record, own in found if own is not None}


def sandbox(record: Record, annotations: Mapping[str, str]) -> Sandbox:
    """What a runtime would tell of it."""
    return Sandbox(
        id=record.sandbox,
        uid=record.uid,
        namespace=record.namespace,
        name=record.name,
        netns=record.netns,
        annotations=annotations,
        ips=tuple(record.pod_ips),
        bare=True,
    )


def lacking(record: Record) -> str:
    """What of a Pod cannot be had without NRI; empty: all can."""
    shared = containers.directories(record)
    names = ", ".join(i.link.name for i in record.interfaces if i.link.device is not None or i.link.detail in shared)
    return f"{names} needs something in the containers, which takes a runtime with NRI" if names else ""
