"""The error tree of podnet. Every message begins with "cannot" and names the object.

PodnetError                 anything podnet itself raises
├── InvalidError            input that a user can correct; carries every fault with its field path
├── KubeError               the API server answered with an error or not at all
│   ├── UnreachableError    no connection: what was asked has not been done
│   ├── NotFoundError       404
│   ├── ConflictError       409 on an update: the object changed meanwhile
│   ├── AlreadyExistsError  409 on a create
│   └── GoneError           410: a watch is too old, list again
└── (each room derives its own from PodnetError)
"""

from __future__ import annotations

from collections.abc import Sequence

from podnet_api.faults import Fault


class PodnetError(Exception):
    """Anything podnet itself raises."""


class InvalidError(PodnetError):
    """Input that a user can correct.

    ``subject`` names the object, ``faults`` lists every fault found (never empty).
    """

    def __init__(self, subject: str, faults: Sequence[Fault]) -> None:
        super().__init__(f"cannot accept {subject}: " + "; ".join(str(fault) for fault in faults))
        self.subject = subject
        self.faults = tuple(faults)


class KubeError(PodnetError):
    """The API server answered with an error (``code`` is the HTTP status) or not at all (``code`` 0)."""

    def __init__(self, message: str, code: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class UnreachableError(KubeError):
    """No connection was made: what was asked has certainly not been done."""


class NotFoundError(KubeError):
    """404: the object does not exist."""


class ConflictError(KubeError):
    """409 on an update: the object changed meanwhile."""


class AlreadyExistsError(KubeError):
    """409 on a create: somebody else created the object first."""


class GoneError(KubeError):
    """410: the resource version is too old; list again."""
