"""CHECK of what links have on top: what was taken away by hand is found and put back. Runs in the worker's thread."""

import dataclasses
from collections.abc import Iterator, Sequence

import msgspec

from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.extras import EXTRAS
from podnet_kni_server.datapath.model import Finding, Link
from podnet_kni_server.datapath.worker import Pod


def settled(wanted: Sequence[Link]) -> Iterator[Link]:
    """`wanted`, where of two that ask for one kernel parameter of the namespace only the last does: it came last."""
    last = {name: link.name for link in wanted if link.extras for name in link.extras.sysctls}
    for link in wanted:
        if link.extras is None:
            yield link
            continue
        kept = {name: value for name, value in link.extras.sysctls.items() if last[name] == link.name}
        yield dataclasses.replace(link, extras=msgspec.structs.replace(link.extras, sysctls=kept))


def look(node: Node, pod: Pod, link: Link) -> Iterator[Finding]:
    """Each thing that is lost, after it has been put back."""
    for extra in EXTRAS if link.extras else ():
        lost: list[str] = []
        try:
            lost += extra.lost(node, pod, link)
            if lost:
                extra.apply(node, pod, link)
        except (DatapathError, OSError) as error:
            yield Finding(f"{link.name} {'; '.join(lost) or 'cannot be looked at whole'}", False, str(error))
        else:
            yield from (Finding(f"{link.name} {what}") for what in lost)


def put_again(node: Node, pod: Pod, link: Link) -> Iterator[Finding]:
    """After a repair of the link itself: much goes with its addresses and routes."""
    for extra in EXTRAS if link.extras else ():
        try:
            extra.apply(node, pod, link)
        except (DatapathError, OSError) as error:
            yield Finding(f"the extras of {link.name} are not as they were made", False, str(error))
