"""``multi-ip-preferences`` out of a Pod's network-status: what Genie's consumers read. Pure.

Genie counts the plugins that gave an address, in the order in which it called them, and names the first address of
each: ``{"multi_entry":2,"ips":{"ip1":{"ip":"10.0.0.5","interface":"eth0"},...}}`` (setGenieStatus). It writes nothing
for a Pod with one plugin.
"""

from __future__ import annotations

import json
from typing import Any

from podnet_compat import jsontext


def preferences(status: str) -> str | None:
    """The annotation for a Pod whose annotation ``k8s.v1.cni.cncf.io/network-status`` is ``status``; None where Genie
    would write none, and for a status that cannot be read."""
    rows = [row for row in _rows(status) if row is not None]
    if len(rows) < 2:
        return None
    ips = {f"ip{place}": row for place, row in enumerate(rows, start=1)}
    return json.dumps({"multi_entry": len(rows), "ips": ips}, separators=(",", ":"))


def _rows(status: str) -> list[dict[str, str] | None]:
    try:
        rows = jsontext.load(status)
    except jsontext.BrokenJsonError:
        return []
    return [_row(row) for row in rows] if isinstance(rows, list) else []


def _row(row: Any) -> dict[str, str] | None:
    ips = row.get("ips") if isinstance(row, dict) else None
    if not isinstance(ips, list) or not ips or not isinstance(ips[0], str):
        return None
    return {"ip": ips[0], "interface": str(row.get("interface", ""))}
