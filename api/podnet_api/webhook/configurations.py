"""The webhook configurations: which requests reach podnet-webhook, and which never do. Pure.

The manifests and the tests are made from these. ``matchConditions`` are evaluated inside kube-apiserver:
a Pod without the annotation costs no call, and is created even while this program is away.
"""

from __future__ import annotations

from typing import Any

from podnet_api import kni, multinetwork, names
from podnet_api.meta import Resource

SERVICE = "podnet-webhook"
NAMESPACE = "podnet-system"
SECRET = "podnet-webhook-certs"
LET_OUT = "none"
"""Value of the Pod label names.NAMESPACE_NETWORKS that lets a Pod out."""
PORT = 8443

PODS = f"pods.{names.GROUP}"
"""Name of the MutatingWebhookConfiguration."""
OBJECTS = f"objects.{names.GROUP}"
"""Name of the ValidatingWebhookConfiguration."""

MUTATE_PODS = "/mutate-pods"
MUTATE_BY_NAMESPACE = "/mutate-pods-by-namespace"
VALIDATE_PODS = "/validate-pods"
VALIDATE_OBJECTS = "/validate-objects"
VALIDATE_TEMPLATES = "/validate-templates"

CHECKED = (multinetwork.PodNetwork, multinetwork.PodNetworkAttachment, kni.NetworkConfig, kni.AttachmentConfig)
"""The kinds that /validate-objects knows."""

_KEY = names.NETWORKS_ANNOTATION
_CREATED_WITH = {
    "name": "created-with-networks",
    "expression": "request.operation != 'CREATE' || "
    f"(has(object.metadata.annotations) && '{_KEY}' in object.metadata.annotations)",
}
_CREATED_WITHOUT = {
    "name": "created-without-networks",
    "expression": f"!object.metadata.?annotations[?'{_KEY}'].hasValue() && !object.spec.?hostNetwork.orValue(false)",
}
# '-' stands for absence: it is no list, so no list is taken for it.
_CHANGED = {
    "name": "changed-networks",
    "expression": "request.operation != 'UPDATE' || "
    f"object.metadata.?annotations[?'{_KEY}'].orValue('-') != oldObject.metadata.?annotations[?'{_KEY}'].orValue('-')",
}
# Without this a finalizer could not be taken off while the webhook is away.
_SPEC_CHANGED = {
    "name": "changed-spec",
    "expression": "request.operation != 'UPDATE' || object.?spec != oldObject.?spec",
}
_TEMPLATE = {
    "name": "template-with-networks",
    "expression": " || ".join(
        f"object.{path}.?metadata.?annotations[?'{_KEY}'].hasValue()"
        for path in ("?spec.?template", "?spec.?jobTemplate.?spec.?template", "?template")
    ),
}


def mutating(service: str = SERVICE, namespace: str = NAMESPACE) -> dict[str, Any]:
    """The MutatingWebhookConfiguration."""
    rules = [_rule("", "v1", ["pods"], ["CREATE", "UPDATE"])]
    webhook = _webhook(f"mutate.{PODS}", MUTATE_PODS, service, namespace, rules, [_CREATED_WITH, _CHANGED])
    webhook["reinvocationPolicy"] = "IfNeeded"  # compat's webhook may write the list after we were asked
    return _configuration("MutatingWebhookConfiguration", PODS, [_by_namespace(service, namespace), webhook])


def _by_namespace(service: str, namespace: str) -> dict[str, Any]:
    """Pods without a list, in Namespaces that have one for them; no other Namespace can be held up by it."""
    rules = [_rule("", "v1", ["pods"], ["CREATE"])]
    name = f"by-namespace.{PODS}"
    webhook = _webhook(name, MUTATE_BY_NAMESPACE, service, namespace, rules, [_CREATED_WITHOUT])
    label = names.NAMESPACE_NETWORKS
    webhook["namespaceSelector"] = {"matchExpressions": [{"key": label, "operator": "Exists"}]}
    let_out = {"key": label, "operator": "NotIn", "values": [LET_OUT]}
    webhook["objectSelector"] = {"matchExpressions": [let_out]}
    return webhook


def validating(service: str = SERVICE, namespace: str = NAMESPACE) -> dict[str, Any]:
    """The ValidatingWebhookConfiguration."""
    pods = [_rule("", "v1", ["pods", "pods/status"], ["CREATE", "UPDATE"])]
    own = [_rule(r.group, r.version, [r.plural], ["CREATE", "UPDATE"]) for r in (k.resource for k in CHECKED)]
    webhooks = [
        _webhook(f"pods.{OBJECTS}", VALIDATE_PODS, service, namespace, pods, [_CREATED_WITH, _CHANGED]),
        _webhook(f"own.{OBJECTS}", VALIDATE_OBJECTS, service, namespace, own, [_SPEC_CHANGED]),
        _webhook(f"templates.{OBJECTS}", VALIDATE_TEMPLATES, service, namespace, _template_rules(), [_TEMPLATE])
        | {"failurePolicy": "Ignore"},  # it only warns
    ]
    return _configuration("ValidatingWebhookConfiguration", OBJECTS, webhooks)


def _template_rules() -> list[dict[str, Any]]:
    kinds = {
        "": ["replicationcontrollers", "podtemplates"],
        "apps": ["deployments", "replicasets", "statefulsets", "daemonsets"],
        "batch": ["jobs", "cronjobs"],
    }
    return [_rule(group, "v1", plurals, ["CREATE", "UPDATE"]) for group, plurals in kinds.items()]


def _rule(group: str, version: str, plurals: list[str], operations: list[str]) -> dict[str, Any]:
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "resources": plurals,
        "operations": operations,
        "scope": "*",
    }


def _webhook(
    name: str,
    path: str,
    service: str,
    namespace: str,
    rules: list[dict[str, Any]],
    conditions: list[dict[str, str]],
) -> dict[str, Any]:
    return {
        "name": name,
        "clientConfig": {"service": {"name": service, "namespace": namespace, "path": path, "port": PORT}},
        "rules": rules,
        "matchConditions": conditions,
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "timeoutSeconds": 5,
        "admissionReviewVersions": ["v1"],
    }


def _configuration(kind: str, name: str, webhooks: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "webhooks": webhooks,
    }


def resources() -> tuple[Resource, ...]:
    """Where the checked kinds live."""
    return tuple(kind.resource for kind in CHECKED)
