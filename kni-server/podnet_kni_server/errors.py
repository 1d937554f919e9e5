"""Errors of the KNI server.

PodnetError
├── AttachError        a Pod cannot be attached; carries a reason of podnet_api.reasons
│   └── NoAddressError no address is left, or a static one is taken
├── CheckpointError    a record cannot be written or read
└── (DatapathError, NriError: with their packages)
"""

from __future__ import annotations

from podnet_api import reasons
from podnet_api.errors import PodnetError


class AttachError(PodnetError):
    """A Pod cannot be attached; ``reason`` is a word of podnet_api.reasons."""

    def __init__(self, message: str, reason: str = reasons.ATTACH_FAILED) -> None:
        super().__init__(message)
        self.reason = reason


class NoAddressError(AttachError):
    """No address is left, or a static address is taken."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reasons.NO_ADDRESSES_LEFT)


class CheckpointError(PodnetError):
    """A record cannot be written or read."""
