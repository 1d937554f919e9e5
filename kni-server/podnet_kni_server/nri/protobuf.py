"""The one way to read protobuf here: bytes that are none become a status for the peer."""

from typing import TypeVar

from google.protobuf import message

from podnet_kni_server.nri import errors

Message = TypeVar("Message", bound=message.Message)


def decode(into: Message, data: bytes) -> Message:
    """Fill `into` and return it. Raises: errors.StatusError INVALID_ARGUMENT."""
    try:
        into.ParseFromString(data)
    except message.DecodeError as error:
        reason = f"cannot read {type(into).__name__}: {error}"
        raise errors.StatusError(errors.Code.INVALID_ARGUMENT, reason) from error
    return into
