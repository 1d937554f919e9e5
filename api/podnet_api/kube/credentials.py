"""Where the API server is and who we are: a Pod's service account, or a kubeconfig."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podnet_api.errors import PodnetError
from podnet_api.kube import trust

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class CredentialsError(PodnetError):
    """No usable credentials."""


@dataclass(frozen=True)
class Credentials:
    """``server`` is the base URL; ``tls`` is None for plain HTTP; a token is read anew for each request,
    because the kubelet rotates the file."""

    server: str
    tls: ssl.SSLContext | None
    token_path: Path | None = None
    token: str = ""

    @classmethod
    def load(cls, kubeconfig: str | None = None) -> Credentials:
        """From ``kubeconfig``, else $KUBECONFIG, else the Pod's service account, else ~/.kube/config.

        Raises CredentialsError when none can be read.
        """
        chosen = kubeconfig or os.environ.get("KUBECONFIG", "")
        if chosen:
            return _from_kubeconfig(Path(chosen))
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            return _in_cluster()
        return _from_kubeconfig(Path.home() / ".kube" / "config")

    @classmethod
    def nobody(cls, kubeconfig: str | None = None) -> Credentials:
        """The same API server, without saying who we are: for a proxy, whose callers say it themselves."""
        chosen = kubeconfig or os.environ.get("KUBECONFIG", "")
        if not chosen and "KUBERNETES_SERVICE_HOST" in os.environ:
            found = _in_cluster()
        else:
            found = _from_kubeconfig(Path(chosen) if chosen else Path.home() / ".kube" / "config", with_user=False)
        return cls(found.server, found.tls)

    def headers(self) -> dict[str, str]:
        """Headers that say who we are."""
        token = self.token_path.read_text().strip() if self.token_path else self.token
        return {"Authorization": f"Bearer {token}"} if token else {}


def _in_cluster() -> Credentials:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    bracketed = f"[{host}]" if ":" in host else host
    tls = trust.context(cafile=str(_ACCOUNT / "ca.crt"))
    return Credentials(f"https://{bracketed}:{port}", tls, _ACCOUNT / "token")


def _from_kubeconfig(path: Path, *, with_user: bool = True) -> Credentials:
    import yaml  # 1.7 MiB in each node's server, which has a service account and no kubeconfig

    try:
        config = yaml.safe_load(path.read_text())
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = (_named(config["users"], context["user"]).get("user") or {}) if with_user else {}
        return Credentials(cluster["server"], _tls(cluster, user), token=user.get("token", ""))
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise CredentialsError(f"cannot read kubeconfig {path}: {error!r}") from error


def _named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next((item for item in items if item["name"] == name), {})


def _tls(cluster: dict[str, Any], user: dict[str, Any]) -> ssl.SSLContext | None:
    if not cluster["server"].startswith("https"):
        return None
    authority = cluster.get("certificate-authority-data")
    tls = trust.context(
        cafile=cluster.get("certificate-authority"), cadata=base64.b64decode(authority).decode() if authority else None
    )
    if "client-certificate-data" in user:
        _load_certificate(tls, user["client-certificate-data"], user["client-key-data"])
    elif "client-certificate" in user:
        tls.load_cert_chain(user["client-certificate"], user["client-key"])
    return tls


def _load_certificate(tls: ssl.SSLContext, certificate: str, key: str) -> None:
    """OpenSSL reads certificates only from files: a private one that lives for a moment."""
    with tempfile.NamedTemporaryFile(suffix=".pem") as both:
        both.write(base64.b64decode(certificate) + b"\n" + base64.b64decode(key))
        both.flush()
        tls.load_cert_chain(both.name)
