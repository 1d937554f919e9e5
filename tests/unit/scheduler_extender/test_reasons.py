"""The table of reasons that people read is the one that the program uses."""

from __future__ import annotations

import re

from podnet_hack import paths
from podnet_scheduler_extender import refusals


def test_the_documented_reasons_are_all_and_only_those_there_are() -> None:
    text = (paths.CHECKOUT / "DESIGN.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| ([A-Za-z]+) \| (yes|no) \|$", text, re.MULTILINE)
    documented = {(words, reason, static == "yes") for cell, reason, static in rows for words in cell.split(", ")}
    assert documented == {(one.text, one.reason, one.static) for one in refusals.REASONS}
