"""What the benchmarks of a node wrote, for people: build/bench.md with build/bench.svg. Run by `make bench`.

`python -m benchmark.report`. What has not been measured is left out. Ratios are against the C floor of the same run.
before.json keeps what was measured before it was improved: the ratio where a row has one, else the value.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

BUILD = pathlib.Path(__file__).parents[2] / "build"
_GOAL = 1.3
_COLUMNS = ("name", "value", "unit", "p99", "baseline", "ratio", "before", "more", "goal")
_BEFORE: dict[str, float] = json.loads((pathlib.Path(__file__).parent / "before.json").read_text())
_WIDTH, _ROW, _LEFT, _HEIGHT = 760, 18, 300, 160

Rows = Sequence[dict[str, Any]]


def read(name: str) -> Any:
    """What a benchmark wrote; None: it was not run."""
    path = BUILD / name
    return json.loads(path.read_text()) if path.exists() else None


def table(rows: Rows) -> str:
    """A table in Markdown, of the columns that anything is in."""
    rows = [{**row, "before": _BEFORE[row["name"]]} if row["name"] in _BEFORE else row for row in rows]
    columns = [column for column in _COLUMNS if any(column in row for row in rows)]
    lines = [columns, ["---"] * len(columns), *([str(row.get(c, "")) for c in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def bars(rows: Rows) -> Iterator[str]:
    """A bar for each ratio, and a line at the goal."""
    scale = (_WIDTH - _LEFT - 60) / max(2.0, *(row["ratio"] for row in rows))
    for at, row in enumerate(rows):
        y, length = at * _ROW, row["ratio"] * scale
        colour = "#4a7" if row["ratio"] <= _GOAL else "#c85"
        yield f'<text x="{_LEFT - 6}" y="{y + 13}" text-anchor="end">{row["name"]}</text>'
        yield f'<rect x="{_LEFT}" y="{y + 3}" width="{length:.0f}" height="12" fill="{colour}"/>'
        yield f'<text x="{_LEFT + length + 4:.0f}" y="{y + 13}">{row["ratio"]}</text>'
    x, bottom = _LEFT + _GOAL * scale, len(rows) * _ROW
    yield f'<line x1="{x:.0f}" y1="0" x2="{x:.0f}" y2="{bottom}" stroke="#444" stroke-dasharray="4"/>'


def curve(memory: Sequence[tuple[str, int, float]], top: int) -> Iterator[str]:
    """Resident memory in the order of the measurements."""
    most = max(70.0, *(size for _, _, size in memory))
    step = (_WIDTH - _LEFT - 60) / max(1, len(memory) - 1)
    bottom = top + _HEIGHT - 10
    points = " ".join(
        f"{_LEFT + n * step:.0f},{bottom - size / most * (_HEIGHT - 20):.0f}" for n, (_, _, size) in enumerate(memory)
    )
    yield f'<text x="{_LEFT - 6}" y="{bottom}" text-anchor="end">memory of the server, 0 to {most:.0f} MiB</text>'
    yield f'<polyline points="{points}" fill="none" stroke="#36a" stroke-width="2"/>'


def plot(floor: Rows, memory: Sequence[tuple[str, int, float]]) -> str:
    """Everything as SVG."""
    top = len(floor) * _ROW
    parts = [*(bars(floor) if floor else ()), *(curve(memory, top) if memory else ())]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top + _HEIGHT}" '
    return head + 'font-family="sans-serif" font-size="11">\n' + "\n".join(parts) + "\n</svg>\n"


def main() -> None:
    """Write both files."""
    floor = [row for row in read("bench.json") or () if row["name"].startswith(("attach", "detach"))]
    node, cluster = read("bench-node.json") or {}, read("bench-cluster.json") or {}
    (BUILD / "bench.svg").write_text(plot(floor, node.get("memory", [])))
    text = "# Measurements of a node\n\n![ratios to the C floor, and memory](bench.svg)\n"
    for title, rows in (
        ("Attach and detach against the C floor", floor),
        (f"{node.get('pods')} sandboxes with three networks through NRI", node.get("records", [])),
        ("What networks add to the start of a Pod", cluster.get("records", [])),
        ("Multus' objects through compat", read("bench-compat.json") or []),
    ):
        text += f"\n## {title}\n\n{table(rows)}" if rows else ""
    (BUILD / "bench.md").write_text(text)


if __name__ == "__main__":
    main()
