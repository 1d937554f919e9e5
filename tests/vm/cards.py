"""The VM's two network cards, with virtual functions. They hang on one emulated switch."""

import dataclasses
import json
import pathlib
import subprocess
import time
from collections.abc import Callable

_NET = pathlib.Path("/sys/class/net")
_PCI = pathlib.Path("/sys/bus/pci/devices")


@dataclasses.dataclass(frozen=True)
class Card:
    """A card: its physical function's interface, and the PCI addresses of its virtual functions."""

    name: str
    functions: tuple[str, ...]

    def settings(self, number: int) -> dict[str, object]:
        """What the card has set for a function, as `ip` tells it."""
        found: list[dict[str, object]] = json.loads(ip("-j", "-d", "link", "show", "dev", self.name))[0]["vfinfo_list"]
        return next(one for one in found if one["vf"] == number)

    def interface(self, number: int) -> str:
        """The function's interface on the node; empty when a Pod has it."""
        return next((path.name for path in (_PCI / self.functions[number] / "net").glob("*")), "")

    def everything(self) -> object:
        """What must be the same before and after: the functions' interfaces and their settings."""
        links = [self.interface(number) for number in range(len(self.functions))]
        return [(name, shown(name) if name else None, self.settings(at)) for at, name in enumerate(links)]


def shown(name: str) -> tuple[object, ...]:
    """State of an interface of the node."""
    (found,) = json.loads(ip("-j", "-d", "link", "show", "dev", name))
    fields = ("address", "mtu", "group", "promiscuity", "allmulti")
    return *(found[field] for field in fields), "UP" in found["flags"]


def ip(*words: str) -> str:
    """Run ip on the node."""
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def switch_on(counts: tuple[int, ...]) -> tuple[Card, ...]:
    """The cards, with so many virtual functions each, all set up by their drivers."""
    names = sorted(path.parent.parent.name for path in _NET.glob("*/device/sriov_totalvfs"))
    made = tuple(_switch_on(name, count) for name, count in zip(names, counts, strict=True))
    until(lambda: all(card.interface(at) for card in made for at in range(len(card.functions))))
    return made


def _switch_on(name: str, count: int) -> Card:
    ip("link", "set", name, "up")
    # A physical function that has no carrier yet gives its first function no MAC address.
    until(lambda: "LOWER_UP" in ip("link", "show", "dev", name))
    (_NET / name / "device/sriov_numvfs").write_text(str(count))
    functions = (_NET / name / "device").glob("virtfn*")
    return Card(name, tuple(path.readlink().name for path in sorted(functions)))


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for a card."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the card is not ready"
        time.sleep(0.05)
