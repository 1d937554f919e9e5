"""A certificate authority for tests: client certificates with the names that a test wants."""

from __future__ import annotations

import datetime
import pathlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True)
class Pair:
    """PEM files of a certificate and its key."""

    certificate: pathlib.Path
    key: pathlib.Path


class Authority:
    """Signs client certificates; its files are in ``directory``."""

    def __init__(self, directory: pathlib.Path, name: str) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._number = 0
        ca = x509.BasicConstraints(ca=True, path_length=0)
        signed = _builder(self._subject, self._subject, self._key, 3600).add_extension(ca, critical=True)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        signed = signed.add_extension(usage, critical=True)
        self.certificate = directory / f"{name}.crt"
        self.certificate.write_bytes(_pem(signed.sign(self._key, hashes.SHA256())))

    def pair(self, user: str, *groups: str, seconds: float = 3600) -> Pair:
        """A client certificate for ``user`` in ``groups``, good for ``seconds``."""
        self._number += 1
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        names += [x509.NameAttribute(NameOID.COMMON_NAME, user)] if user else []
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = _builder(x509.Name(names), self._subject, key, seconds).add_extension(usage, critical=False)
        made = Pair(*(self._directory / f"{self._number}.{kind}" for kind in ("crt", "key")))
        made.certificate.write_bytes(_pem(builder.sign(self._key, hashes.SHA256())))
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        made.key.write_bytes(key.private_bytes(*form))
        return made


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, seconds: float
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
    return builder.not_valid_after(now + datetime.timedelta(seconds=seconds))


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
