"""Everything that can go wrong between the runtime and the plugin.

NriError
├── ConnectionLost        the runtime is not there, or closed the socket
│   └── Truncated         it closed in the middle of a frame
├── ProtocolError         the bytes are not NRI; the connection cannot be used any further
│   └── Oversized         a length above the protocol's limit
├── NoAnswer              the peer did not answer a request in time
├── RegistrationFailed    the runtime did not take the plugin in
├── StatusError           the peer answered a request with a status other than OK
└── HookRefused           raised by a handler: refuse the event, the message is the reason
"""

import enum


class Code(enum.IntEnum):
    """The gRPC status codes that cross this wire (google.rpc.Code)."""

    OK = 0
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


class NriError(Exception):
    """Root of this module's errors."""


class ConnectionLost(NriError):
    """The runtime's socket is absent, refused us, or was closed."""


class Truncated(ConnectionLost):
    """The socket was closed inside a frame."""


class ProtocolError(NriError):
    """The peer sent bytes that are no valid frame; the framing has no mark from which to read on."""


class Oversized(ProtocolError):
    """A header announces more bytes than the protocol allows."""


class NoAnswer(NriError):
    """A request of ours was not answered within its timeout."""


class RegistrationFailed(NriError):
    """The runtime rejected the registration or did not configure the plugin in time."""


class HookRefused(NriError):
    """Raised by a handler. The sandbox or container fails, and its event shows the message."""


class StatusError(NriError):
    """A request answered with `code`; `message` is the peer's text. Unknown codes stay plain integers."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
