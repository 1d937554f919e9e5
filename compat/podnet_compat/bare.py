"""Whose the annotation ``networks``, without a prefix, is. Pure.

Three systems have used it: Knitter with a JSON object that has ports, Genie with a comma list beside ``cni: ""``, and
Multus 1.x with a JSON list, which no released Multus reads any more. ``systems`` translates the first two, ``pod`` says
whose it is where they are not translated.
"""

from __future__ import annotations

from collections.abc import Mapping

from podnet_compat import jsontext

KEY = "networks"
CNI = "cni"
KNITTER, GENIE, MULTUS = "knitter", "genie", "multus"


def owner(annotations: Mapping[str, str]) -> str:
    """One of the three; "" where the annotation is missing or nobody reads it."""
    text = annotations.get(KEY, "").strip()
    if not text:
        return ""
    if text.startswith("{"):
        return KNITTER if _has_ports(text) else ""
    if text.startswith("["):
        return MULTUS
    return GENIE if CNI in annotations and not annotations[CNI].strip() else ""


def _has_ports(text: str) -> bool:
    """Broken JSON is Knitter's too if it speaks of ports: its translator says where it is broken."""
    try:
        found = jsontext.load(text)
    except jsontext.BrokenJsonError:
        return '"ports"' in text
    return isinstance(found, dict) and "ports" in found
