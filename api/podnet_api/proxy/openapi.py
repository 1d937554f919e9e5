"""The field in OpenAPI v3: what ``kubectl explain`` prints and what client-side apply merges by. Pure.

kubectl keeps a document by the hash in its address, so the hashes of the documents that are changed change too.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

DOCUMENTS = frozenset(("api/v1", "apis/apps/v1", "apis/batch/v1"))
"""Each holds a PodSpec of its own."""
Json = dict[str, Any]

_CORE = "io.k8s.api.core.v1."
_BOOL = {"type": "boolean"}
_TEXT = {"type": "string"}
_NETWORK: Json = {
    "type": "object",
    "description": "Network is one network that a Pod attaches to (KEP-3698). Exactly one of podNetworkName and"
    " podNetworkAttachmentName is set.",
    "properties": {
        "podNetworkName": {**_TEXT, "description": "PodNetworkName names the PodNetwork to attach to."},
        "podNetworkAttachmentName": {
            **_TEXT,
            "description": "PodNetworkAttachmentName names the PodNetworkAttachment, of the Pod's namespace, to"
            " attach by.",
        },
        "interfaceName": {
            **_TEXT,
            "description": "InterfaceName is the name of the interface in the Pod. Default: eth0 for the network"
            " default, else net and the place in the list.",
        },
        "isDefaultGW4": {
            **_BOOL,
            "description": "IsDefaultGW4 says that the IPv4 default route leads over this network; true at most once.",
        },
        "isDefaultGW6": {
            **_BOOL,
            "description": "IsDefaultGW6 says that the IPv6 default route leads over this network; true at most once.",
        },
    },
}
_NETWORKS: Json = {
    "type": "array",
    "description": "Networks lists the networks that the Pod attaches to (KEP-3698): each at most once, and none"
    " for a Pod with hostNetwork. It may be edited while the Pod runs.",
    "items": {"default": {}, "allOf": [{"$ref": f"#/components/schemas/{_CORE}Network"}]},
    "x-kubernetes-list-type": "atomic",
}
_OF_ADDRESS: Json = {
    "podNetwork": {**_TEXT, "description": "PodNetwork is the PodNetwork that the address belongs to (KEP-3698)."},
    "interfaceName": {**_TEXT, "description": "InterfaceName is the interface in the Pod that has the address."},
}
_EDITION = json.dumps([_NETWORK, _NETWORKS, _OF_ADDRESS])


def hashed(upstream: str) -> str:
    """The hash of a changed document, from that of the API server's and what we add."""
    return hashlib.sha512((upstream + _EDITION).encode()).hexdigest().upper()


def index(body: bytes) -> bytes:
    """The index with the hashes of the changed documents."""
    whole = json.loads(body)
    for name in DOCUMENTS & whole.get("paths", {}).keys():
        entry = whole["paths"][name]
        address, mark, upstream = entry["serverRelativeURL"].partition("?hash=")
        if mark:
            entry["serverRelativeURL"] = f"{address}{mark}{hashed(upstream)}"
    return json.dumps(whole, separators=(",", ":")).encode()


def additions(refs: str) -> dict[str, Json]:
    """The properties that are added, by the schema that gets them; ``refs`` is where schemas are found."""
    networks = {**_NETWORKS, "items": {"$ref": f"{refs}{_CORE}Network"}}
    return {
        f"{_CORE}Network": _NETWORK["properties"],
        f"{_CORE}PodSpec": {"networks": networks},
        f"{_CORE}PodIP": _OF_ADDRESS,
    }


def document(body: bytes) -> bytes:
    """A document with the field in its PodSpec and the additions to PodIP."""
    whole = json.loads(body)
    schemas = whole.get("components", {}).get("schemas", {})
    if f"{_CORE}PodSpec" in schemas:
        schemas[f"{_CORE}Network"] = _NETWORK
        schemas[f"{_CORE}PodSpec"]["properties"]["networks"] = _NETWORKS
    if f"{_CORE}PodIP" in schemas:
        schemas[f"{_CORE}PodIP"]["properties"] |= _OF_ADDRESS
    return json.dumps(whole, separators=(",", ":")).encode()
