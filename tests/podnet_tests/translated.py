"""What came out of a translation, as tests look at it."""

from __future__ import annotations

import json
from typing import Any

from podnet_compat.systems import Outcome

Object = dict[str, Any]


def lists(outcome: Outcome) -> list[list[Object]]:
    """The native list of each Pod that got one."""
    return [json.loads(text) for item in outcome.changed for text in _lists(item)]


def only(outcome: Outcome, kind: str, name: str) -> Object:
    """The one object of ``kind`` and ``name`` that was made."""
    [found] = [item for item in outcome.made if (item["kind"], item["metadata"]["name"]) == (kind, name)]
    return found


def made(outcome: Outcome) -> list[str]:
    """Everything that was made, in an order of its own."""
    return sorted(json.dumps(item, sort_keys=True) for item in outcome.made)


def _lists(item: Any) -> list[str]:
    if not isinstance(item, dict):
        return []
    own = [value for key, value in item.items() if key == "multinetwork.x-k8s.io/networks"]
    return own + [text for value in item.values() for text in _lists(value)]
