"""Who may use a PodNetwork: the RBAC verb ``use``, asked of the API server (KEP-3698, requirement 16).

A Pod may use a network when the user who creates it may, or the Pod's own service account: Pods of a
Deployment are created by a controller, which has no networks of its own. A yes is remembered for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from podnet_api import multinetwork, names
from podnet_api.admission import Request
from podnet_api.faults import Fault, FaultType
from podnet_api.kube import Client
from podnet_api.meta import Model

REMEMBERED = 10.0
"""Seconds for which a yes holds: so long may a binding that was deleted still count."""
_MOST = 10_000
_PATH = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


@dataclass(frozen=True)
class Subject:
    """Somebody, as authorizers know him."""

    user: str
    groups: tuple[str, ...]


class _Status(Model, frozen=True, kw_only=True):
    allowed: bool = False


class _Review(Model, frozen=True, kw_only=True):
    status: _Status = _Status()


def service_account(namespace: str, name: str) -> Subject:
    """The subject that a Pod's service account is."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return Subject(f"system:serviceaccount:{namespace}:{name}", groups)


class Access:
    """Asks, and remembers who may."""

    def __init__(self, client: Client, clock: Callable[[], float] | None = None) -> None:
        self._client = client
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._until: dict[tuple[Subject, str], float] = {}

    async def pod_faults(self, request: Request, wanted: Iterable[tuple[str, str]]) -> list[Fault]:
        """A fault for each (field path, PodNetwork) that neither the user nor the Pod's service account may use.
        Raises KubeError when the API server cannot be asked."""
        user = Subject(request.user, request.groups)
        account = service_account(request.namespace, _account_of(request.object))
        faults = []
        for path, network in wanted:
            if not await self.may(user, network) and not await self.may(account, network):
                faults.append(_fault(path, network, f"neither {user.user} nor {account.user} may"))
        return faults

    async def attachment_faults(self, request: Request) -> list[Fault]:
        """An attachment opens its network to the Pods of its namespace: who makes it must be allowed to use it."""
        network = (request.object.get("spec") or {}).get("podNetworkName")
        user = Subject(request.user, request.groups)
        if not isinstance(network, str) or await self.may(user, network):
            return []
        return [_fault("spec.podNetworkName", network, f"{user.user} may not")]

    async def may(self, subject: Subject, network: str) -> bool:
        """Whether ``subject`` has the verb ``use`` on PodNetwork ``network``. Raises KubeError."""
        if network == names.DEFAULT_NETWORK or self._remembered(subject, network):
            return True
        attributes = {"group": names.GROUP, "resource": multinetwork.PodNetwork.resource.plural}
        spec = {
            "user": subject.user,
            "groups": list(subject.groups),
            "resourceAttributes": attributes | {"verb": "use", "name": network},
        }
        body: dict[str, Any] = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": spec,
        }
        answer = await self._client.request("POST", _PATH, body=msgspec.json.encode(body))
        allowed = msgspec.json.decode(answer, type=_Review).status.allowed
        if allowed:
            self._remember(subject, network)
        return allowed

    def _remembered(self, subject: Subject, network: str) -> bool:
        return self._until.get((subject, network), 0.0) > self._clock()

    def _remember(self, subject: Subject, network: str) -> None:
        if len(self._until) >= _MOST:
            self._until.clear()
        self._until[subject, network] = self._clock() + REMEMBERED


def _account_of(pod: dict[str, Any]) -> str:
    spec = pod.get("spec") or {}
    return str(spec.get("serviceAccountName") or spec.get("serviceAccount") or "default")


def _fault(path: str, network: str, who: str) -> Fault:
    """``who`` is the subject of a sentence, with its negation."""
    advice = f"an administrator can allow it by a role with the verb use on podnetworks.{names.GROUP}"
    return Fault(path, FaultType.FORBIDDEN, f"{who} use PodNetwork {network}; {advice}")
