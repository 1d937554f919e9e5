"""A CA and the serving certificate that it signs. Pure but for randomness; the caller says what time it is.

The CA's key is thrown away at once: nothing can be signed with it later, and nobody can steal it. A new
certificate therefore comes with a new CA, and ``Certificates.authorities`` keeps the earlier ones until
they expire, so that replicas may change over one by one.
"""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from podnet_api.errors import PodnetError

LIFETIME = datetime.timedelta(days=365)
RENEW_BEFORE = datetime.timedelta(days=60)
_SKEW = datetime.timedelta(hours=1)
"""Certificates begin in the past: clocks of nodes differ."""
_LOCAL = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))


class CertificateError(PodnetError):
    """What was read is no usable set of certificates."""


@dataclass(frozen=True)
class Certificates:
    """All PEM: ``authorities`` (newest first), the serving ``certificate`` and its ``key``."""

    authorities: bytes
    certificate: bytes
    key: bytes

    @property
    def expires(self) -> datetime.datetime:
        """When the serving certificate ends."""
        return x509.load_pem_x509_certificate(self.certificate).not_valid_after_utc

    @property
    def hosts(self) -> frozenset[str]:
        """The DNS names that it serves."""
        leaf = x509.load_pem_x509_certificate(self.certificate)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return frozenset(names.get_values_for_type(x509.DNSName))

    def usable(self, service: str, namespace: str, now: datetime.datetime) -> bool:
        """Whether it serves the Service for some time yet."""
        return self.hosts >= set(_hosts(service, namespace)) and now + RENEW_BEFORE < self.expires

    def load_into(self, tls: ssl.SSLContext) -> None:
        """Serve with it from the next handshake on. OpenSSL reads files only: a private one, for a moment.
        Raises CertificateError when certificate and key do not go together."""
        with tempfile.NamedTemporaryFile(suffix=".pem") as both:
            both.write(self.certificate + b"\n" + self.key)
            both.flush()
            try:
                tls.load_cert_chain(both.name)
            except ssl.SSLError as error:
                raise CertificateError(f"cannot serve with the certificate: {error}") from error

    def to_data(self) -> dict[str, bytes]:
        """As keys of a Secret of type kubernetes.io/tls."""
        return {"ca.crt": self.authorities, "tls.crt": self.certificate, "tls.key": self.key}


def from_data(data: Mapping[str, bytes]) -> Certificates:
    """What ``to_data`` wrote. Raises CertificateError when it is something else."""
    try:
        found = Certificates(data["ca.crt"], data["tls.crt"], data["tls.key"])
        authorities = x509.load_pem_x509_certificates(found.authorities)
        leaf = x509.load_pem_x509_certificate(found.certificate)
        leaf.verify_directly_issued_by(authorities[0])
        key = serialization.load_pem_private_key(found.key, None)
        usable = key.public_key() == leaf.public_key() and bool(found.hosts)
    except KeyError as error:
        raise CertificateError(f"cannot read certificates: no key {error}") from error
    except (ValueError, TypeError, x509.ExtensionNotFound) as error:
        raise CertificateError(f"cannot read certificates: {error}") from error
    except InvalidSignature as error:
        raise CertificateError("cannot use certificates: another CA signed them") from error
    if not usable:
        raise CertificateError("cannot use certificates: the key belongs to another one")
    return found


def make(service: str, namespace: str, now: datetime.datetime, earlier: bytes = b"") -> Certificates:
    """New certificates for a Service; CAs of ``earlier`` (PEM) that still hold stay trusted."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"{service}.{namespace} CA {now:%Y-%m-%d}")
    authority = _authority(subject, authority_key, now)
    leaf = _leaf(_hosts(service, namespace), key.public_key(), authority, authority_key, now)
    return Certificates(_pem(authority) + _still_valid(earlier, now), _pem(leaf), _key_pem(key))


def _hosts(service: str, namespace: str) -> list[str]:
    full = f"{service}.{namespace}.svc"
    return [service, f"{service}.{namespace}", full, f"{full}.cluster.local", "localhost"]


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _authority(subject: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime.datetime) -> x509.Certificate:
    usage = _usage(key_cert_sign=True, crl_sign=True)
    builder = _builder(subject, subject, key.public_key(), now)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.add_extension(usage, critical=True).sign(key, hashes.SHA256())


def _leaf(
    hosts: list[str],
    key: ec.EllipticCurvePublicKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
) -> x509.Certificate:
    names = [*(x509.DNSName(host) for host in hosts), *(x509.IPAddress(address) for address in _LOCAL)]
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    builder = _builder(_name(hosts[2]), authority.subject, key, now)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(digital_signature=True), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.add_extension(issuer, critical=False).sign(authority_key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _still_valid(earlier: bytes, now: datetime.datetime) -> bytes:
    if not earlier:
        return b""
    return b"".join(_pem(c) for c in x509.load_pem_x509_certificates(earlier) if now < c.not_valid_after_utc)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
