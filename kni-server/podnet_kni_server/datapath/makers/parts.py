"""Interfaces of a Pod that are put under a bond or a VRF, and taken out again so that they survive."""

import errno
from collections.abc import Sequence

from podnet_kni_server.datapath import inet, links, netlink, observe
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.model import Interface, Link
from podnet_kni_server.datapath.observe import Seen
from podnet_kni_server.datapath.worker import Pod


def find(pod: Pod, link: Link, names: Sequence[str]) -> list[Seen]:
    """The parts of `link`. Raises: DatapathError when one is not in the Pod, or belongs to another link."""
    present = observe.find_links(pod.channel, {link.name, *names})
    own = present.get(link.name)
    for name in names:
        part = present.get(name)
        if part is None:
            raise DatapathError(f"cannot make {link.name}: its part {name} is not in the Pod")
        if part.master and (own is None or part.master != own.index):
            raise DatapathError(f"cannot make {link.name}: its part {name} belongs to another link already")
    return [present[name] for name in names]


def hold(pod: Pod, index: int, names: Sequence[str]) -> bool:
    """Whether all these links, and no others, are under the one with this index: for the others all are listed."""
    present = observe.list_links(pod.channel).values()
    return {one.name for one in present if one.master == index} == set(names)


def put(pod: Pod, master: int, part: Seen, what: tuple[object, ...], *, down: bool) -> None:
    """Put a part under its master and set it up. `down`: the kernel wants it set down before."""
    if down and part.up:
        pod.channel.run(links.change(part.index, what, up=False))
    pod.channel.run(
        links.change(part.index, what, netlink.u32(links.MASTER, master)), links.change(part.index, what, up=True)
    )


def release(pod: Pod, master: str) -> None:
    """Take every part out from under `master` (a name), set it up and give it back the addresses that it had. No
    error when there is no such link."""
    present = observe.list_links(pod.channel)
    above = present.get(master)
    for part in present.values():
        if above is not None and part.master == above.index:
            held = addresses(pod, part)
            put(pod, 0, part, ("take %s out of %s", part.name, master), down=False)
            restore(pod, part, held)


def addresses(pod: Pod, part: Seen) -> list[Interface]:
    """The addresses of a part now."""
    return observe.parse_addresses(pod.channel.dump(inet.get_addresses())).get(part.index, [])


def flush(pod: Pod, part: Seen) -> None:
    """Take a part's addresses away."""
    pod.channel.run(*(inet.delete_address(part.index, part.name, one) for one in addresses(pod, part)))


def restore(pod: Pod, part: Seen, wanted: Sequence[Interface]) -> None:
    """Give a part back the addresses that the kernel took: those of IPv6, when a VRF gets or loses it."""
    there = addresses(pod, part)
    requests = [inet.add_address(part.index, part.name, one) for one in wanted if one not in there]
    for error in pod.channel.batch(requests).errors.values():
        if error.errno != errno.EEXIST:
            raise error
