"""PodNetwork, PodNetworkAttachment, NetworkConfig and AttachmentConfig: faults beyond their CRDs. Pure.

An update that leaves the spec as it is is never refused: an object that came before this webhook, or past
it, must still be able to lose its finalizer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from podnet_api import kni, multinetwork, validation
from podnet_api.faults import Fault, FaultType

Provider = Callable[[str], str | None]
"""PodNetwork -> its provider; None while it does not exist."""

_PLACE = re.compile(r"(.*) - at `\$\.?(.*)`", re.DOTALL)


def faults(item: dict[str, Any], old: dict[str, Any] | None, provider: Provider) -> tuple[Fault, ...]:
    """Faults of ``item``, whose predecessor is ``old``."""
    if old is not None and old.get("spec") == item.get("spec"):
        return ()
    try:
        return tuple(_faults(item, provider))
    except msgspec.ValidationError as error:
        return (_unreadable(error),)


def _faults(item: dict[str, Any], provider: Provider) -> list[Fault]:
    match item.get("kind"):
        case "PodNetwork":
            return validation.pod_network_faults(msgspec.convert(item, multinetwork.PodNetwork))
        case "PodNetworkAttachment":
            attachment = msgspec.convert(item, multinetwork.PodNetworkAttachment)
            return validation.pod_network_attachment_faults(attachment, provider(attachment.spec.pod_network_name))
        case "NetworkConfig":
            return validation.network_config_faults(msgspec.convert(item, kni.NetworkConfig))
        case "AttachmentConfig":
            return validation.attachment_config_faults(msgspec.convert(item, kni.AttachmentConfig))
    return []


def _unreadable(error: msgspec.ValidationError) -> Fault:
    """The schema refuses such objects before us; a CRD older than this program may not."""
    found = _PLACE.fullmatch(str(error))
    path, message = (found[2], found[1]) if found else ("", str(error))
    return Fault(path or "spec", FaultType.INVALID, message)
