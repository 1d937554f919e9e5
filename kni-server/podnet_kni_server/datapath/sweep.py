"""Remove what Pods left behind on the node: host ends that no record names, their nftables elements and limits.

Runs in the worker's thread, at start and now and then.
"""

import json
from collections.abc import Collection, Iterator
from typing import Any

from podnet_kni_server.datapath import attach, links, observe, spoof
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.extras import ports, shaping
from podnet_kni_server.datapath.model import HOST_PREFIX


def sweep(node: attach.Node, keep: Collection[str]) -> list[str]:
    """Remove host ends of ours whose names are not in `keep`, and answer their names."""
    present = observe.list_links(node.route)
    stale = sorted(
        name for name, link in present.items() if links.ours(name, link.group) and name not in keep
    )  # fmt: skip
    attach.remove_hosts(node, stale)
    shaping.sweep(node, keep)
    ports.sweep(keep)
    _forget(set(present) - set(stale) | set(keep))
    return stale


def _forget(alive: set[str]) -> None:
    """Remove the elements of ports that are neither there nor kept."""
    try:
        listed = json.loads(spoof.run_nft(["-j", "list", "table", "bridge", spoof.TABLE], "list anti-spoofing"))
    except DatapathError:
        return  # no table, so no elements
    script = "".join(
        f"delete element bridge {spoof.TABLE} {name} {{ {element} }}\n"
        for name, port, element in _elements(listed)
        if port.startswith(HOST_PREFIX) and port not in alive
    )
    if script:
        spoof.nft(script, "forget the addresses of ports that are gone (anti-spoofing)")


def _elements(listed: Any) -> Iterator[tuple[str, str, str]]:
    """(set, port, element as nft writes it) of everything in our sets."""
    for entry in listed["nftables"]:
        found = entry.get("set", {})
        for element in found.get("elem", []):
            port, mac, address = element["concat"]
            written = f"{address:#x}" if isinstance(address, int) else address
            yield found["name"], port, f'"{port}" . {mac} . {written}'
