"""What a plan says, and how it is printed: as a table for people, as JSON or YAML for programs. Pure."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
import yaml
from podnet_api.meta import Model

EXACT, OPEN = 0, 1
"""Exit statuses of ``plan``: everything moves; something is refused or must be decided."""


class Outcome(enum.Enum):
    """What becomes of an object, from good to bad."""

    MOVES = "moves"
    """As it is."""
    DIFFERS = "differs"
    """It moves, and ``said`` lists what is otherwise than before."""
    DECIDE = "decide"
    """Somebody has to decide what ``said`` asks."""
    REFUSED = "refused"
    """It cannot move as it is."""


class Row(Model, frozen=True, kw_only=True):
    """One object."""

    kind: str
    namespace: str = ""
    name: str
    outcome: Outcome
    becomes: str = ""
    """The native objects, or the networks of a Pod as ``network@interface``."""
    attached_by: str = ""
    """Of a Pod or Namespace: podnet or multus."""
    owner: str = ""
    """Of a Pod: ``kind/name`` of what made it."""
    said: list[str] = []
    """Each with the path of the field that it is about."""

    @property
    def subject(self) -> str:
        """How messages name it."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


class Report(Model, frozen=True, kw_only=True):
    """A whole plan. Fields are added to it, none is taken away."""

    rows: list[Row]
    summary: dict[str, int] = {}
    """Outcome -> number of objects."""

    def exit_status(self, *, strict: bool = False) -> int:
        """For CI; ``strict``: what differs counts as well."""
        bad = {Outcome.DECIDE, Outcome.REFUSED} | ({Outcome.DIFFERS} if strict else set())
        return OPEN if any(row.outcome in bad for row in self.rows) else EXACT


def made(rows: Iterable[Row]) -> Report:
    """The report of ``rows``, in the order of kind, namespace and name."""
    listed = sorted(rows, key=lambda row: (_ORDER.get(row.kind, len(_ORDER)), row.kind, row.namespace, row.name))
    counted = Counter(row.outcome.value for row in listed)
    return Report(rows=listed, summary={one.value: counted[one.value] for one in Outcome})


_ORDER = {kind: place for place, kind in enumerate(("Multus", "Namespace", "NetworkAttachmentDefinition"))}


def text(report: Report, form: str, *, whole: bool = False) -> str:
    """``report`` as ``form``: json, yaml or table; ``whole``: a table with the Pods that are like their owner, too."""
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(report)).decode() + "\n"
    if form == "yaml":
        return str(yaml.safe_dump(msgspec.to_builtins(report), sort_keys=False, allow_unicode=True, width=120))
    return _table(report, whole)


def _table(report: Report, whole: bool) -> str:
    shown = [row for row in report.rows if whole or not row.owner or row.outcome is Outcome.REFUSED]
    cells = [("KIND", "NAMESPACE", "NAME", "OUTCOME", "ATTACHED BY", "BECOMES")]
    cells += [
        (r.kind, r.namespace or "-", r.name, r.outcome.value, r.attached_by or "-", r.becomes or "-") for r in shown
    ]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]) - 1)]
    lines = []
    for place, row in enumerate(cells):
        lines.append(_line(row, widths))
        lines += [f"    {text}" for text in (shown[place - 1].said if place else ())]
    hidden = len(report.rows) - len(shown)
    counted = ", ".join(f"{number} {word}" for word, number in report.summary.items())
    more = f"; {hidden} Pods are like what made them (--all shows them)" if hidden else ""
    return "\n".join([*lines, "", f"{counted}{more}", ""])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
    return "  ".join([*padded, row[-1]]).rstrip()
