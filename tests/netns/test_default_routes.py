"""Default routes that a Pod is not to have, in the kernel: each family for itself."""

import json

from netns.lab import Lab, Place

EVERYWHERE = ("eth0", "net1")


def _pod(lab: Lab) -> Place:
    """With default routes of both families over eth0 and net1."""
    pod = lab.place()
    for i, name in enumerate(EVERYWHERE):
        pod.ip("link", "add", name, "type", "veth", "peer", "name", f"far{i}")
        for end in (name, f"far{i}"):
            pod.ip("link", "set", end, "up")
        pod.ip("addr", "add", f"192.0.{i}.2/24", "dev", name)
        pod.ip("addr", "add", f"2001:db8:{i}::2/64", "dev", name, "nodad")
        pod.ip("route", "add", "default", "via", f"192.0.{i}.1", "metric", str(i + 1))
        pod.ip("-6", "route", "add", "default", "via", f"2001:db8:{i}::1", "metric", str(i + 1))
    return pod


def _defaults(pod: Place) -> list[list[str]]:
    return [[one["dev"] for one in json.loads(pod.ip("-j", f, "route", "show", "default"))] for f in ("-4", "-6")]


async def test_all_defaults_go(lab: Lab) -> None:
    pod, datapath = _pod(lab), lab.datapath(lab.place())
    for _ in range(2):
        await datapath.drop_defaults(pod.path, {4: [], 6: []})
        assert _defaults(pod) == [[], []]
    assert "192.0.0.0/24" in pod.ip("route")


async def test_each_family_keeps_what_is_asked_for(lab: Lab) -> None:
    pod, datapath = _pod(lab), lab.datapath(lab.place())
    before = await datapath.defaults(pod.path)
    await datapath.drop_defaults(pod.path, {4: ["net1"], 6: []})
    assert _defaults(pod) == [["net1"], []]
    await datapath.restore_defaults(pod.path, before)
    assert _defaults(pod) == [["net1"], ["eth0", "net1"]]
