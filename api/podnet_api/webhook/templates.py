"""Warnings for pod templates whose list of networks is wrong. Pure.

Without them the Deployment is created and its Pods are refused later, where nobody looks at once. They are
no faults: the API server itself does not check templates against what webhooks know either.
"""

from __future__ import annotations

from typing import Any

from podnet_api.webhook import pods

_PLACES = (("spec", "template"), ("spec", "jobTemplate", "spec", "template"), ("template",))
_WARNING_LIMIT = 250
_MOST = 8


def warnings(item: dict[str, Any]) -> list[str]:
    """One warning per fault of the template in ``item``."""
    for place in _PLACES:
        template = _at(item, place)
        text = pods.text_of(template)
        if template is not None and text is not None:
            host_network = bool((template.get("spec") or {}).get("hostNetwork"))
            _, faults = pods.explicit(text, host_network=host_network)
            prefix = ".".join(place) + "."
            return [f"{prefix}{fault}"[:_WARNING_LIMIT] for fault in faults[:_MOST]]
    return []


def _at(item: dict[str, Any], place: tuple[str, ...]) -> dict[str, Any] | None:
    found: Any = item
    for key in place:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None
