"""Who a client certificate says one is, in the headers of a request-header proxy. Pure.

The API server believes these headers from whoever holds a certificate of its request-header CA. They are said only
for a client certificate that TLS has verified, and instead of any other credentials.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from podnet_api.errors import PodnetError
from podnet_api.proxy.headers import Headers


class IdentityError(PodnetError):
    """A certificate that names nobody, or is over."""


def headers(certificate: Mapping[str, Any], now: float) -> Headers:
    """X-Remote-User and X-Remote-Group as kube-apiserver reads a certificate: common name and organisations.

    ``certificate`` is what ssl.SSLSocket.getpeercert tells, ``now`` seconds since 1970: a connection may outlive the
    certificate that opened it. Raises IdentityError.
    """
    if ssl.cert_time_to_seconds(str(certificate["notAfter"])) < now:
        raise IdentityError("cannot accept the client certificate: it is over")
    named = [pair for relative in certificate.get("subject", ()) for pair in relative]
    users = [value for key, value in named if key == "commonName"]
    if not users or not users[-1]:
        raise IdentityError("cannot accept the client certificate: it has no common name")
    groups = [value for key, value in named if key == "organizationName"]
    return [("X-Remote-User", _safe(users[-1])), *(("X-Remote-Group", _safe(group)) for group in groups)]


def _safe(value: str) -> str:
    """A name that is one header, no more and no less."""
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise IdentityError(f"cannot accept the client certificate: its name {value!r} does not fit a header")
    return value
