"""What becomes of the objects of other systems than Multus, as rows of a plan. Pure: ``systems`` decides."""

from __future__ import annotations

from collections.abc import Iterable

from podnet_compat import legacy, systems
from podnet_compat.migrate.inventory import Object
from podnet_compat.migrate.report import Outcome, Row


def rows(items: Iterable[Object], namespace: str) -> list[Row]:
    """One row for each object of another system, with what its translator says of it."""
    listed = list(items)
    outcome = systems.translate_objects(listed, namespace)
    left = {id(item) for item in outcome.rest} - {id(item) for item in outcome.kept}
    return [
        _row(item, namespace, outcome) for item in listed if id(item) not in left and item.get("kind") != legacy.KIND
    ]


def _row(item: Object, namespace: str, outcome: systems.Outcome) -> Row:
    meta = item.get("metadata")
    name = str((meta if isinstance(meta, dict) else {}).get("name", ""))
    own = str((meta if isinstance(meta, dict) else {}).get("namespace", namespace))
    subjects = {f"{item.get('kind')} {name}:", f"{item.get('kind')} {own}/{name}:"}
    refused = [text for text in outcome.errors if any(subject in text for subject in subjects)]
    found = [text.removeprefix("warning: ") for text in outcome.warnings]
    differs = [text for text in found if any(subject in text for subject in subjects)]
    worst = Outcome.REFUSED if refused else Outcome.DIFFERS if differs else Outcome.MOVES
    return Row(kind=str(item.get("kind")), namespace=own, name=name, outcome=worst, said=[*refused, *differs])
