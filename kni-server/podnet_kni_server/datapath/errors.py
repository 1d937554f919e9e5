"""What can go wrong in the datapath.

PodnetError
└── DatapathError      the kernel, or something on the node, refused; carries `reason` where a state has one
    ├── NetlinkError   the kernel answered one message with an error; carries its `errno`
    └── NetnsMissing   the namespace of the Pod is not there (any more)
"""

from podnet_api import errors, reasons


class DatapathError(errors.PodnetError):
    """The kernel, or something on the node, refused. `reason` is a word of podnet_api.reasons."""

    def __init__(self, message: str, reason: str = reasons.SETUP_FAILED) -> None:
        super().__init__(message)
        self.reason = reason


class NetlinkError(DatapathError):
    """The kernel answered one message with `errno`; `what` names it, e.g. "add address 10.1.0.5/24 to net1"."""

    def __init__(self, what: str, errno: int, text: str) -> None:
        super().__init__(f"cannot {what}: {text}")
        self.what = what
        self.errno = errno


class NetnsMissing(DatapathError):
    """The namespace of the Pod is not there (any more)."""
