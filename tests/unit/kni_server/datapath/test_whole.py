"""The order in which a Pod's links are made, and what is undone when one of them fails: with makers that only note
what they are told, and the kernel's answers given."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from podnet_kni_server.datapath import attach, links, observe, whole
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.makers.maker import Maker
from podnet_kni_server.datapath.model import Link, Observed
from podnet_kni_server.datapath.observe import Seen
from podnet_kni_server.details import Extras


class Kernel:
    """What is in the Pod, and all that was done, in order."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.present: dict[str, Seen] = {}
        self.failing = ""

    def put(self, name: str, kind: str, master: int = 0, group: int = links.GROUP_POD) -> None:
        """A link of the Pod."""
        index = len(self.present) + 1
        self.present[name] = Seen(index, name, links.IFF_UP, "02:00:00:00:00:01", 1500, master, 0, group, kind, b"")

    def make(self, link: Link) -> None:
        """Make it, or fail if that is its turn."""
        self.done.append(f"make {link.name}")
        if link.name == self.failing:
            raise DatapathError(f"cannot make {link.name}")
        if link.name not in self.present:
            self.put(link.name, link.kind)


class Noting:
    """A Maker for which there is no kernel."""

    kernel_kind = "*"

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def make(self, node: attach.Node, pod: Any, link: Link) -> int:
        """See Maker."""
        self._kernel.make(link)
        return self._kernel.present[link.name].index

    def remove(self, node: attach.Node, pod: Any, link: Link) -> None:
        """See Maker."""
        self._kernel.done.append(f"remove {link.name}")
        self._kernel.present.pop(link.name, None)

    def fits(self, link: Link, found: Seen, on_node: dict[str, Seen]) -> bool:
        """See Maker."""
        return True


class Extra:
    """An extra that may fail."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def apply(self, node: attach.Node, pod: Any, link: Link) -> None:
        """See extra.Extra."""
        self._kernel.done.append(f"apply {link.name}")
        if self._kernel.failing == f"extra of {link.name}":
            raise DatapathError("cannot apply")

    def remove(self, node: attach.Node, pod: Any, link: Link) -> None:
        """See extra.Extra."""
        self._kernel.done.append(f"unapply {link.name}")


class Pod:
    """A Pod's namespace with nothing behind it."""

    channel = None


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    maker: Maker = Noting(made)
    monkeypatch.setattr(whole, "MAKERS", dict.fromkeys(("tap", "bond", "ipvlan"), maker))
    monkeypatch.setattr(whole, "EXTRAS", (Extra(made),))
    monkeypatch.setattr(observe, "list_links", lambda channel: dict(made.present))
    monkeypatch.setattr(whole, "_settle", lambda scene, link, index: made.done.append(f"settle {link.name}"))
    monkeypatch.setattr(whole, "_read_back", lambda pod, link, maker: _observed(link))

    def attached(node: Any, pod: Any, wanted: list[Link]) -> list[Observed]:
        made.done.append("batch " + " ".join(link.name for link in wanted))
        for link in wanted:
            if link.name == made.failing:
                raise DatapathError(f"cannot make {link.name}")
            if link.name not in made.present:
                made.put(link.name, link.kind)
        return [_observed(link) for link in wanted]

    def detached(node: Any, channel: Any, unwanted: list[Link]) -> None:
        made.done.append("unbatch " + " ".join(link.name for link in unwanted))
        for link in unwanted:
            made.present.pop(link.name, None)

    monkeypatch.setattr(attach, "attach", attached)
    monkeypatch.setattr(attach, "detach", detached)
    return made


def _observed(link: Link) -> Observed:
    return Observed(link.name, link.mac, link.mtu, True, link.addresses, 7, link.kind)


def _link(name: str, kind: str = "veth", **more: Any) -> Link:
    return Link(kind, name, "", "br0", "02:00:00:00:00:01", 1500, **more)


def _attach(*wanted: Link) -> list[str]:
    return [one.name for one in whole.attach_all(None, Pod(), wanted)]  # type: ignore[arg-type]


MIXED = (_link("a"), _link("b", "macvlan"), _link("c", "ipvlan"), _link("d"), _link("e", "bond"))


def test_the_usual_pod_is_one_batch(kernel: Kernel) -> None:
    assert _attach(*MIXED[:2]) == ["a", "b"]
    assert kernel.done == ["batch a b"]


def test_links_are_made_in_the_order_of_the_list(kernel: Kernel) -> None:
    assert _attach(*MIXED) == ["a", "b", "c", "d", "e"]
    assert kernel.done == ["batch a b", "make c", "settle c", "batch d", "make e", "settle e"]


def test_a_macvlan_in_mode_passthru_is_not_of_the_batch(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "MAKERS", {"macvlan": Noting(kernel)})
    _attach(_link("a"), _link("b", "macvlan", mode="passthru"))
    assert kernel.done == ["batch a", "make b", "settle b"]


@pytest.mark.parametrize(
    ("failing", "undone"),
    [
        ("a", []),
        ("c", ["remove c", "unbatch a b"]),
        ("d", ["remove c", "unbatch a b"]),
        ("e", ["remove e", "unbatch d", "remove c", "unbatch a b"]),
    ],
)
def test_what_was_made_is_undone_in_reverse(kernel: Kernel, failing: str, undone: list[str]) -> None:
    kernel.failing = failing
    with pytest.raises(DatapathError, match=f"cannot make {failing}"):
        _attach(*MIXED)
    turn = next(at for at, step in enumerate(kernel.done) if failing in step.split()[1:])
    assert kernel.done[turn + 1 :] == undone
    assert kernel.present == {}


def test_what_was_there_before_stays(kernel: Kernel) -> None:
    kernel.put("a", "veth")
    kernel.put("c", "ipvlan")
    kernel.failing = "e"
    with pytest.raises(DatapathError):
        _attach(*MIXED)
    assert kernel.done[-3:] == ["remove e", "unbatch d", "unbatch b"]
    assert set(kernel.present) == {"a", "c"}


def test_a_clean_up_that_fails_does_not_hide_the_cause_nor_end_there(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> None:
        raise DatapathError("cannot undo")

    monkeypatch.setattr(attach, "detach", failing)
    kernel.failing = "e"
    with pytest.raises(DatapathError, match="cannot make e"):
        _attach(*MIXED)
    assert kernel.done[-2:] == ["remove e", "remove c"]


def test_extras_come_when_every_link_stands_and_go_first(kernel: Kernel) -> None:
    wanted = [dataclasses.replace(link, extras=Extras()) for link in MIXED[1:3]]
    _attach(*wanted)
    assert kernel.done == ["batch b", "make c", "settle c", "apply b", "apply c"]
    kernel.done.clear()
    kernel.present.clear()
    kernel.failing = "extra of c"
    with pytest.raises(DatapathError, match="cannot apply"):
        _attach(*wanted)
    assert kernel.done[-4:] == ["unapply c", "unapply b", "remove c", "unbatch b"]


def test_links_under_a_bond_are_left_alone(kernel: Kernel) -> None:
    kernel.put("e", "bond")
    kernel.put("a", "veth", master=1)
    kernel.put("c", "ipvlan", master=1)
    assert _attach(MIXED[0], MIXED[2], MIXED[3], MIXED[4]) == ["a", "c", "d", "e"]
    assert kernel.done == ["batch d", "make e", "settle e"]


def test_links_under_somebody_elses_bond_are_not(kernel: Kernel) -> None:
    kernel.put("theirs", "bond", group=0)
    kernel.put("a", "veth", master=1)
    _attach(MIXED[0], MIXED[4])
    assert kernel.done[0] == "batch a"


def test_a_kind_that_nobody_makes_is_named(kernel: Kernel) -> None:
    with pytest.raises(DatapathError, match="cannot make x: this version makes no warp"):
        _attach(_link("x", "warp"))


def test_detach_goes_in_reverse_and_to_the_end(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    removed = Noting.remove

    def failing(self: Noting, node: Any, pod: Any, link: Link) -> None:
        removed(self, node, pod, link)
        if link.name == "e":
            raise DatapathError("cannot remove e")

    monkeypatch.setattr(Noting, "remove", failing)
    extra = dataclasses.replace(MIXED[2], extras=Extras())
    with pytest.raises(DatapathError, match="cannot remove e"):
        whole.detach_all(None, Pod(), [MIXED[0], extra, MIXED[3], MIXED[4]])  # type: ignore[arg-type]
    assert kernel.done == ["remove e", "unapply c", "remove c", "unbatch a d"]
