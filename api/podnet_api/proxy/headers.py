"""Which headers go on, and which requests are refused. Pure.

The proxy has no rights of its own, so nobody can borrow them. What remains to be refused is what could make the API
server see another request, or another caller, than the proxy saw.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Headers = list[tuple[str, str]]

_HOP = frozenset(
    (
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    )
)
"""Headers of one connection (RFC 9110, 7.6.1)."""
_REFRAMED = frozenset(("content-length", "expect", "host"))
"""What the connection to the API server says anew."""
_FORWARDED = ("x-forwarded-", "x-real-ip", "x-original-")
_IDENTITY = "x-remote-"
"""By these a front proxy with the request-header certificate says who calls; nobody else may."""
_ONCE = frozenset(("authorization", "content-length", "content-type", "host", "transfer-encoding", "upgrade"))
_CONNECTION = frozenset(("close", "keep-alive", "te", "upgrade", "http2-settings"))
_UPGRADES = frozenset(("websocket", "spdy/3.1"))


def refusal(method: str, target: str, headers: Sequence[tuple[str, str]]) -> str:
    """Why a request is refused (400), or ""."""
    if method in {"CONNECT", "TRACE"} or not target.startswith("/"):
        return f"cannot forward {method}: only a path on this server can be asked for"
    names = [name.lower() for name, _ in headers]
    twice = sorted(name for name in _ONCE if names.count(name) > 1)
    if twice:
        return f"cannot forward a request with two headers {twice[0]}"
    if "content-length" in names and "transfer-encoding" in names:
        return "cannot forward a request with both Content-Length and Transfer-Encoding"
    odd = sorted(set(_tokens(headers, "connection")) - _CONNECTION)
    if odd:
        return f"cannot forward a request whose header Connection names {odd[0]!r}"
    return ""


def _tokens(headers: Iterable[tuple[str, str]], name: str) -> list[str]:
    values = [value for key, value in headers if key.lower() == name]
    return [part.strip().lower() for value in values for part in value.split(",") if part.strip()]


def upgrade(headers: Sequence[tuple[str, str]]) -> str:
    """The protocol that the client wants to change to, or ""; any other than the API server's two is ignored."""
    wanted = _tokens(headers, "upgrade")
    return wanted[0] if "upgrade" in _tokens(headers, "connection") and wanted[:1] and wanted[0] in _UPGRADES else ""


def onward(headers: Iterable[tuple[str, str]], peer: str) -> Headers:
    """The headers of a request for the API server: its log shall name the caller, ``peer``."""
    kept = [(name, value) for name, value in headers if not _is_ours_to_say(_plain(name))]
    return [*kept, ("X-Forwarded-For", peer)] if peer else kept


def _plain(name: str) -> str:
    """Lower case, and with the underscore that some servers take for a hyphen."""
    return name.lower().replace("_", "-")


def _is_ours_to_say(name: str) -> bool:
    return name in _HOP or name in _REFRAMED or name == "forwarded" or name.startswith((_IDENTITY, *_FORWARDED))


def back(headers: Iterable[tuple[str, str]], *, reframed: bool) -> Headers:
    """The headers of an answer for the client; ``reframed``: the body may have another length now."""
    dropped = _HOP | ({"content-length", "etag"} if reframed else set())
    return [(name, value) for name, value in headers if name.lower() not in dropped]


def without(headers: Headers, *dropped: str) -> Headers:
    """``headers`` without some."""
    return [(name, value) for name, value in headers if name.lower() not in dropped]
