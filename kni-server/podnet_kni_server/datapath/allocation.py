"""Which devices the kubelet gave to a Pod. The seam to its pod-resources API; podresources.Kubelet is the real one."""

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Protocol

import msgspec

from podnet_kni_server import devinfo
from podnet_kni_server.datapath import physical
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.lent import Ledger
from podnet_kni_server.datapath.model import Link, Observed
from podnet_kni_server.details import HostDeviceDetail, SriovDetail


class Allocation(Protocol):
    """Asked for virtual functions that a network takes from a resource."""

    async def devices(self, pod: str, resource: str) -> list[str]:
        """Ids of the devices of `resource` that Pod `namespace/name` has; none: [].

        Raises: DatapathError when it cannot be learned.
        """
        ...


class NoAllocation:
    """Where no kubelet is asked."""

    async def devices(self, pod: str, resource: str) -> list[str]:
        """See Allocation."""
        raise DatapathError(f"cannot learn which device of {resource} Pod {pod} has: no kubelet is asked here")


async def resolved(allocation: Allocation, lent: Ledger, links: Sequence[Link]) -> Sequence[Link]:
    """`links` with the devices that the kubelet gave; what is lent already needs no answer."""
    if all(link.kind != "sriov" for link in links):
        return links
    return await asyncio.gather(*(_resolved(allocation, lent, link) for link in links))


async def _resolved(allocation: Allocation, lent: Ledger, link: Link) -> Link:
    detail = link.detail
    if not isinstance(detail, SriovDetail) or not detail.resource or detail.device_id or lent.get(link.host_name):
        return link
    given = await allocation.devices(detail.pod, detail.resource)
    if not given:
        text = f"the kubelet gave it none; its containers must ask for {detail.resource} in resources.limits"
        raise DatapathError(f"cannot attach Pod {detail.pod} to a device of {detail.resource}: {text}")
    return dataclasses.replace(link, detail=msgspec.structs.replace(detail, devices=sorted(given)))


def told(files: devinfo.Files, lent: Ledger, link: Link, made: Observed) -> Observed:
    """`made` with what is known of the device that the Pod was lent: by its plugin, or by its address."""
    device = lent.get(link.host_name) if isinstance(link.detail, SriovDetail | HostDeviceDetail) else None
    if device is None or not device.address:
        return made
    resource = link.detail.resource if isinstance(link.detail, SriovDetail) else ""
    known = files.of_plugin(resource, device.address) if resource else ""
    info = physical.device_info(device.address) or devinfo.of_address(device.address)
    return dataclasses.replace(made, device_info=known or info)
