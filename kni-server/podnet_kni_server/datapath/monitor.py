"""Watch the node's links: the kernel tells each change, nothing is polled. Runs in the event loop."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator

from podnet_kni_server.datapath import links, netlink, observe
from podnet_kni_server.datapath.channel import Channel
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.model import LinkEvent
from podnet_kni_server.datapath.worker import Worker

_GROUP_LINK = 1
_RECEIVE_BUFFER = 1 << 20


async def watch(worker: Worker) -> AsyncIterator[LinkEvent]:
    """See interface.Datapath.watch_links."""
    loop = asyncio.get_running_loop()
    source, present = await worker.call(_subscribe, worker)
    known: set[str] = set()
    try:
        while True:
            for event in _retell(known, present):
                yield event
            known = {link.name for link in present}
            names = {link.index: link.name for link in present}
            while (received := await _receive(loop, source)) is not None:
                for event in parse_events(received, names):
                    (known.add if event.present else known.discard)(event.name)
                    yield event
            present = await worker.call(_list, worker)
    finally:
        source.close()


def _subscribe(worker: Worker) -> tuple[socket.socket, list[observe.Seen]]:
    """A socket on which the kernel tells changes, and what there is; in this order, so that nothing is lost."""
    _ = worker.home
    source = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
    )
    source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    source.bind((0, 1 << (_GROUP_LINK - 1)))
    return source, _list(worker)


def _list(worker: Worker) -> list[observe.Seen]:
    _ = worker.home
    channel = Channel()
    try:
        return list(observe.list_links(channel).values())
    finally:
        channel.close()


async def _receive(loop: asyncio.AbstractEventLoop, source: socket.socket) -> bytes | None:
    """The next changes; None when the kernel had to drop some because we did not read."""
    try:
        return await loop.sock_recv(source, 1 << 16)
    except OSError as error:
        if error.errno == errno.ENOBUFS:
            return None
        raise DatapathError(f"cannot watch the node's links: {error}") from error


def _retell(known: set[str], present: list[observe.Seen]) -> list[LinkEvent]:
    gone = known - {link.name for link in present}
    return [LinkEvent(name, False, False) for name in sorted(gone)] + [
        LinkEvent(link.name, link.running, True) for link in present
    ]


def parse_events(received: bytes, names: dict[int, str]) -> list[LinkEvent]:
    """What one message of the kernel tells. ``names`` remembers the links by index."""
    events: list[LinkEvent] = []
    for kind, _, _, body in netlink.messages(received):
        if kind not in (links.NEWLINK, links.DELLINK) or len(body) < 16 or body[0] != socket.AF_UNSPEC:
            continue  # the bridge tells of its ports under its own family: a port that leaves is not a link gone
        link = observe.parse_link(body)
        former = names.get(link.index, link.name)
        if former != link.name or kind == links.DELLINK:
            events.append(LinkEvent(former, False, False))
            names.pop(link.index, None)
        if kind == links.NEWLINK:
            names[link.index] = link.name
            events.append(LinkEvent(link.name, link.running, True))
    return events
