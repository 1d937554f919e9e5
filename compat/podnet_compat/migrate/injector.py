"""The configuration of network-resources-injector in a plan: its switches, and what users define. Pure.

A ConfigMap ``nri-control-switches`` beside it, of which the key ``config.json`` is read (its version 1.9).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from podnet_compat import jsontext
from podnet_compat.migrate.report import Outcome, Row

NAME, KEY = "nri-control-switches", "config.json"
_INJECTIONS = "user-defined-injections"
_SWITCHES = {
    "enableHugePageDownApi": "start podnet-compat with --inject-resources --inject-hugepages",
    "enableHonorExistingResources": "podnet-compat adds to what containers ask for only what is missing of it",
}


def row(namespace: str, text: str) -> Row:
    """What becomes of it when the injector goes."""
    try:
        value = jsontext.load(text)
    except jsontext.BrokenJsonError as error:
        return _row(namespace, Outcome.DECIDE, [f"data[{KEY}]: {error}"])
    whole = value if isinstance(value, dict) else {}
    said = [*_switches(whole.get("features")), *_injections(whole.get(_INJECTIONS))]
    return _row(namespace, Outcome.DECIDE if said else Outcome.MOVES, said)


def _row(namespace: str, outcome: Outcome, said: list[str]) -> Row:
    return Row(kind="ConfigMap", namespace=namespace, name=NAME, outcome=outcome, said=said)


def _switches(value: Any) -> Iterator[str]:
    for key, told in _SWITCHES.items():
        if isinstance(value, dict) and value.get(key) is True:
            yield f"data[{KEY}].features.{key}: {told}"


def _injections(value: Any) -> Iterator[str]:
    for label in value if isinstance(value, dict) else ():
        yield (
            f"data[{KEY}].{_INJECTIONS}.{label}: Pods with this label get annotations after podnet-compat has been "
            "asked: let a MutatingAdmissionPolicy do it, which comes before all webhooks (docs/migration.md)"
        )
