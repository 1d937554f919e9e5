"""Devices of device plugins for links that plugins make: which one, and what is known of it. Used by `attach`."""

from collections.abc import Callable, Collection

from podnet_kni_server import devinfo
from podnet_kni_server.cni import ask
from podnet_kni_server.cni.cache import Entry
from podnet_kni_server.cni.errors import RequestError
from podnet_kni_server.cni.request import Request
from podnet_kni_server.datapath.allocation import Allocation
from podnet_kni_server.datapath.model import Link


class Devices:
    """`entries`: every attachment by plugins on this node."""

    def __init__(self, allocation: Allocation, files: devinfo.Files, entries: Callable[[], Collection[Entry]]) -> None:
        self._allocation = allocation
        self._files = files
        self._entries = entries

    async def request(self, netns: str, link: Link) -> Request:
        """What the plugins of `link` are asked for, with a device where its network takes one.

        Devices of a resource go to the Pod's entries in their order, sorted by id. Raises RequestError when none is
        left, DatapathError when the kubelet does not answer.
        """
        device = await self._device(link)
        if device and (resource := ask.detail_of(link).resource):
            self._files.hand_on(resource, device, _name(link))
        return ask.request(netns, link, device, self._files.path(_name(link)) if device else "")

    async def _device(self, link: Link) -> str:
        detail = ask.detail_of(link)
        if not detail.resource:
            return detail.device_id
        given = sorted(await self._allocation.devices(f"{detail.namespace}/{detail.pod}", detail.resource))
        others = [e for e in self._entries() if e.sandbox == detail.sandbox and e.interface != link.name]
        left = [device for device in given if device not in {entry.device for entry in others}]
        if not left:
            text = f"the kubelet gave the Pod {len(given)} of {detail.resource}, of which none is left"
            message = f"{text}; its containers must ask for one for each such network in resources.limits"
            raise RequestError(f"cannot attach {link.name}: {message}")
        return left[0]

    def info(self, link: Link) -> str:
        """The device information of a link that stands, as JSON; empty: none."""
        detail = ask.detail_of(link)
        return self._files.read(_name(link)) if detail.resource or detail.device_id else ""

    def forget(self, link: Link) -> None:
        """The link is gone."""
        detail = ask.detail_of(link)
        if detail.resource or detail.device_id:
            self._files.remove(_name(link))


def _name(link: Link) -> str:
    detail = ask.detail_of(link)
    return f"{detail.network}-{detail.sandbox}_{link.name}"
