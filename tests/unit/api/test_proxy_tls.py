"""podnet-proxy's own certificate, who it says others are, and its flags."""

from __future__ import annotations

import asyncio
import datetime
import pathlib
import ssl
from typing import Any

import pytest
from podnet_api.admission import certificates
from podnet_api.kube.credentials import Credentials
from podnet_api.proxy import identity, main, tls

NOW = datetime.datetime.now(datetime.UTC)


def write(directory: pathlib.Path, name: str) -> certificates.Certificates:
    made = certificates.make(name, "default", NOW)
    (directory / "crt").write_bytes(made.certificate)
    (directory / "key").write_bytes(made.key)
    return made


async def served(context: ssl.SSLContext, authority: bytes, name: str) -> None:
    """A handshake with whoever serves ``context``; raises when ``name`` is not served."""
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0, ssl=context)
    asked = ssl.create_default_context(cadata=authority.decode())
    port = server.sockets[0].getsockname()[1]
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=asked, server_hostname=f"{name}.default.svc")
    writer.close()
    server.close()


async def test_files_are_read_again_when_they_change(tmp_path: pathlib.Path) -> None:
    context = tls.context()
    load = tls.from_files(context, tmp_path / "crt", tmp_path / "key")
    with pytest.raises(tls.TlsError, match="cannot read the certificate"):
        await load()
    first = write(tmp_path, "first")
    assert await load()
    await served(context, first.authorities, "first")
    (tmp_path / "key").write_bytes(b"half written")
    assert not await load()
    await served(context, first.authorities, "first")
    second = write(tmp_path, "second")
    assert await load()
    await served(context, second.authorities, "second")


def certificate(**more: Any) -> dict[str, Any]:
    subject = ((("organizationName", "a"),), (("organizationName", "b"),), (("commonName", "alice"),))
    return {"subject": subject, "notAfter": "Jan  1 00:00:00 2040 GMT"} | more


def test_who_a_certificate_names() -> None:
    expected = [("X-Remote-User", "alice"), ("X-Remote-Group", "a"), ("X-Remote-Group", "b")]
    assert identity.headers(certificate(), NOW.timestamp()) == expected


@pytest.mark.parametrize(
    "more",
    [
        {"notAfter": "Jan  1 00:00:00 2020 GMT"},
        {"subject": ()},
        {"subject": ((("commonName", ""),),)},
        {"subject": ((("commonName", "a\r\nX-Remote-Group: system:masters"),),)},
        {"subject": ((("commonName", "ü"),),)},
        {"subject": ((("commonName", "a"),), (("organizationName", "b\n"),))},
    ],
)
def test_certificates_that_name_nobody(more: dict[str, Any]) -> None:
    with pytest.raises(identity.IdentityError):
        identity.headers(certificate(**more), NOW.timestamp())


@pytest.mark.parametrize(
    "flags",
    [
        ["--tls-cert=a"],
        ["--tls-key=a"],
        ["--client-ca=a"],
        ["--client-ca=a", "--requestheader-cert=b"],
        ["--requestheader-key=a"],
    ],
)
def test_flags_that_belong_together(flags: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(flags)
    assert ended.value.code == 2


def test_the_proxy_is_nobody(tmp_path: pathlib.Path) -> None:
    """A kubeconfig says where the API server is; its user is not lent to callers."""
    pair = write(tmp_path, "admin")
    text = f"""
current-context: x
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
clusters: [{{name: c, cluster: {{server: "https://192.0.2.1", certificate-authority: {tmp_path / "ca"}}}}}]
users: [{{name: u, user: {{token: secret, client-certificate: {tmp_path / "crt"}, client-key: {tmp_path / "gone"}}}}}]
"""
    (tmp_path / "ca").write_bytes(pair.authorities)
    (tmp_path / "config").write_text(text)
    found = Credentials.nobody(str(tmp_path / "config"))
    assert found.headers() == {}
    assert found.tls is not None, "had the user's certificate been loaded, its missing key had raised"
