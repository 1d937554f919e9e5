"""TLS contexts that trust what Kubernetes' own programs trust."""

from __future__ import annotations

import ssl


def context(
    purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH, *, cafile: str | None = None, cadata: str | None = None
) -> ssl.SSLContext:
    """Python's default context with the authorities of a PEM file or text; without either those of the system.

    From 3.13 on Python's defaults refuse chains in which something is missing that RFC 5280 asks for, as the Authority
    Key Identifier. Go's verifier does not ask, so clusters have such certificates and every other client takes them.
    """
    made = ssl.create_default_context(purpose, cafile=cafile, cadata=cadata)
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return made
