"""podnet-proxy before a real API server: which of field and annotation counts, rights, watches, controllers.

Longer than our files are: one proxy and one set of requests serve all of it.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest

KEY = "multinetwork.x-k8s.io/networks"
STATUS = "multinetwork.x-k8s.io/network-status"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
BLUE, RED = [{"podNetworkName": "blue"}], [{"podNetworkName": "red"}]
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
STRATEGIC, OPERATIONS = "application/strategic-merge-patch+json", "application/json-patch+json"
SECONDS = 30


def text(listed: Any) -> str:
    return json.dumps(listed, separators=(",", ":"))


def pod(name: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "app", "image": "example.com/app:1"}]
    body = {"terminationGracePeriodSeconds": 0, "containers": containers, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body}


def deployment(name: str, **spec: Any) -> dict[str, Any]:
    template = {**pod(name, **spec), "metadata": {"labels": {"app": name}}}
    del template["apiVersion"], template["kind"], template["spec"]["terminationGracePeriodSeconds"]
    body = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": body}


class Caller:
    """Requests with any headers."""

    def __init__(self, server: Any) -> None:
        place = urllib.parse.urlsplit(server.url)
        tls = ssl.create_default_context(cadata=server.authority.decode())
        self._place, self._port, self._tls = place.hostname or "", place.port, tls

    def _connection(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._place, self._port, timeout=20, context=self._tls)

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        kind: str = "application/json",
        token: str = "administrator",
        **headers: str,
    ) -> tuple[int, Any]:
        """Status and body."""
        connection = self._connection()
        sent = {"Content-Type": kind, "Accept": "application/json"} if body is not None else {}
        sent |= {"Authorization": f"Bearer {token}"} if token else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        raw = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
        connection.request(method, path, raw, sent)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, json.loads(content) if content.startswith(b"{") else content

    def stream(self, path: str) -> Iterator[dict[str, Any]]:
        """Events of a watch."""
        connection = self._connection()
        connection.request("GET", path, headers={"Authorization": "Bearer administrator"})
        answer = connection.getresponse()
        while line := answer.readline():
            yield json.loads(line)
        connection.close()


@pytest.fixture(scope="module")
def through(proxy: Any) -> Caller:
    return Caller(proxy)


@pytest.fixture(scope="module")
def direct(apiserver: Any) -> Caller:
    return Caller(apiserver)


@pytest.fixture
def made(through: Caller) -> Iterator[Callable[..., dict[str, Any]]]:
    """Creates through the proxy; what was created is gone after the test."""
    paths = []

    def make(path: str, body: dict[str, Any]) -> dict[str, Any]:
        code, found = through("POST", f"{path}?fieldValidation=Strict", body)
        assert code == 201, found
        paths.append(f"{path}/{body['metadata']['name']}")
        return dict(found)

    yield make
    for path in paths:
        through("DELETE", path)


def carried(direct: Caller, path: str) -> Any:
    """The list as the API server has it."""
    found = direct("GET", path)[1]
    holder = found["spec"].get("template", found)
    said = (holder["metadata"].get("annotations") or {}).get(KEY)
    return None if said is None else json.loads(said)


def test_both_are_returned(through: Caller, direct: Caller, made: Any) -> None:
    found = made(PODS, pod("both", networks=BLUE))
    assert found["spec"]["networks"] == BLUE
    assert found["metadata"]["annotations"] == {KEY: text(BLUE)}
    assert "networks" not in direct("GET", f"{PODS}/both")[1]["spec"]
    for path in ("both", "both/status", "?fieldSelector=metadata.name=both"):
        body = through("GET", f"{PODS}/{path}".replace("/?", "?"))[1]
        assert (body["items"][0] if "items" in body else body)["spec"]["networks"] == BLUE


def test_replacing_what_was_read_changes_nothing(through: Caller, direct: Caller, made: Any) -> None:
    made(PODS, pod("same", networks=BLUE))
    address = {"network": "blue", "interface": "net1", "addresses": ["192.0.2.1/24", "2001:db8::1/64"]}
    said = {"metadata": {"annotations": {STATUS: json.dumps([address])}}, "status": {"podIPs": [{"ip": "10.0.0.1"}]}}
    assert direct("PATCH", f"{PODS}/same/status", said, STRATEGIC)[0] == 200
    found = through("GET", f"{PODS}/same")[1]
    assert [(one["ip"], one["podNetwork"], one["interfaceName"]) for one in found["status"]["podIPs"]] == [
        ("10.0.0.1", "default", "eth0"),
        ("192.0.2.1", "blue", "net1"),
        ("2001:db8::1", "blue", "net1"),
    ]
    assert any("f:networks" in one["fieldsV1"].get("f:spec", {}) for one in found["metadata"]["managedFields"])
    before = direct("GET", f"{PODS}/same")[1]
    for path in ("same", "same/status"):
        code, answer = through("PUT", f"{PODS}/{path}?fieldValidation=Strict", found)
        assert code == 200, answer
    after = direct("GET", f"{PODS}/same")[1]
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert after["status"]["podIPs"] == [{"ip": "10.0.0.1"}]


def test_a_typed_client_that_drops_the_field_keeps_the_list(through: Caller, direct: Caller, made: Any) -> None:
    found = made(PODS, pod("typed", networks=BLUE))
    del found["spec"]["networks"]
    found["metadata"]["labels"] = {"a": "b"}
    assert through("PUT", f"{PODS}/typed", found)[0] == 200
    del found["metadata"]["annotations"], found["metadata"]["resourceVersion"]
    assert through("PUT", f"{PODS}/typed", found)[1]["spec"]["networks"] == BLUE  # restored
    assert carried(direct, f"{PODS}/typed") == BLUE


def test_a_contradiction_is_told(through: Caller, made: Any) -> None:
    found = made(DEPLOYMENTS, deployment("said", networks=BLUE))
    found["spec"]["template"]["metadata"]["annotations"][KEY] = text(RED)
    code, answer = through("PUT", f"{DEPLOYMENTS}/said", found)
    assert (code, answer["reason"], answer["details"]["kind"]) == (422, "Invalid", "Deployment")
    assert [cause["field"] for cause in answer["details"]["causes"]] == ["spec.template.spec.networks"]
    assert answer["message"].startswith('Deployment.apps "said" is invalid: spec.template.spec.networks: ')
    found["spec"]["template"]["spec"]["networks"] = RED
    code, answer = through("PUT", f"{DEPLOYMENTS}/said", found)
    assert (code, answer["spec"]["template"]["spec"]["networks"]) == (200, RED)


@pytest.mark.parametrize("empty", [None, []])
def test_null_and_nothing_take_the_list_away(through: Caller, direct: Caller, made: Any, empty: Any) -> None:
    found = made(DEPLOYMENTS, deployment("emptied", networks=BLUE))
    found["spec"]["template"]["spec"]["networks"] = empty
    assert through("PUT", f"{DEPLOYMENTS}/emptied", found)[0] == 200
    assert carried(direct, f"{DEPLOYMENTS}/emptied") is None


def test_faults_are_field_errors(through: Caller) -> None:
    listed = [{"podNetworkName": "a", "podNetworkAttachmentName": "b"}, {"podNetworkName": "c", "colour": "red"}]
    code, answer = through("POST", f"{PODS}?dryRun=All", pod("bad", networks=listed))
    assert code == 422
    fields = [cause["field"] for cause in answer["details"]["causes"]]
    assert fields == ["spec.networks[0]", "spec.networks[1].colour"]


PATCHES = [
    (MERGE, {"spec": {"template": {"spec": {"networks": RED}}}}, RED),
    (MERGE, {"spec": {"template": {"spec": {"networks": None}}}}, None),
    (STRATEGIC, {"spec": {"template": {"spec": {"networks": RED, "$setElementOrder/networks": RED}}}}, RED),
    (STRATEGIC, {"spec": {"template": {"spec": {"networks": [{"$patch": "delete", **BLUE[0]}, *RED]}}}}, RED),
    (STRATEGIC, {"metadata": {"labels": {"a": "b"}}}, BLUE),
    (STRATEGIC, {"spec": {"template": {"metadata": {"annotations": {KEY: text(RED)}}}}}, RED),
    (OPERATIONS, [{"op": "replace", "path": "/spec/template/spec/networks/0/podNetworkName", "value": "red"}], RED),
    (OPERATIONS, [{"op": "remove", "path": "/spec/template/spec/networks"}], None),
    (
        OPERATIONS,
        [
            {"op": "test", "path": "/spec/template/spec/networks", "value": BLUE},
            {"op": "add", "path": "/metadata/labels", "value": {"a": "b"}},
            {"op": "add", "path": "/spec/template/spec/networks/-", "value": RED[0]},
        ],
        [*BLUE, *RED],
    ),
]


@pytest.mark.parametrize(("kind", "patch", "expected"), PATCHES)
def test_patches(through: Caller, direct: Caller, made: Any, kind: str, patch: Any, expected: Any) -> None:
    made(DEPLOYMENTS, deployment("patched", networks=BLUE))
    path = f"{DEPLOYMENTS}/patched"
    code, answer = through("PATCH", f"{path}?dryRun=All&fieldValidation=Strict", patch, kind)
    assert code == 200, answer
    assert carried(direct, path) == BLUE
    code, answer = through("PATCH", f"{path}?fieldValidation=Strict", patch, kind)
    assert (code, answer["spec"]["template"]["spec"].get("networks")) == (200, expected)
    assert carried(direct, path) == expected


def test_a_patch_that_fails_says_so(through: Caller, made: Any) -> None:
    made(DEPLOYMENTS, deployment("failing", networks=BLUE))
    path = f"{DEPLOYMENTS}/failing"
    test = [{"op": "test", "path": "/spec/template/spec/networks", "value": RED}]
    assert through("PATCH", path, test, OPERATIONS)[0] == 422
    assert through("PATCH", path, {"spec": {"template": {"spec": {"networks": 1}}}}, MERGE)[0] == 422
    code, answer = through("PATCH", f"{DEPLOYMENTS}/absent", test, OPERATIONS)
    assert (code, answer["reason"]) == (404, "NotFound")
    other = [{"op": "test", "path": "/spec/replicas", "value": 7}]
    assert through("PATCH", path, other, OPERATIONS)[0] == 422


def test_server_side_apply_owns_the_list_as_a_whole(through: Caller, direct: Caller, made: Any) -> None:
    path = f"{DEPLOYMENTS}/applied"
    code, found = through("PATCH", f"{path}?fieldManager=one", json.dumps(deployment("applied", networks=BLUE)), APPLY)
    assert code == 201, found
    owners = [one["manager"] for one in found["metadata"]["managedFields"] if owns(one)]
    assert owners == ["one"]
    yaml = json.dumps(deployment("applied", networks=RED))
    code, answer = through("PATCH", f"{path}?fieldManager=two", yaml, APPLY)
    assert code == 409
    assert 'conflict with "one"' in answer["message"]
    assert [cause["field"] for cause in answer["details"]["causes"]] == [".spec.template.spec.networks"]
    code, found = through("PATCH", f"{path}?fieldManager=two&force=true", yaml, APPLY)
    assert [one["manager"] for one in found["metadata"]["managedFields"] if owns(one)] == ["two"]
    code, found = through("PATCH", f"{path}?fieldManager=two", json.dumps(deployment("applied")), APPLY)
    assert "networks" not in found["spec"]["template"]["spec"]
    assert carried(direct, path) is None
    through("DELETE", path)


def owns(entry: dict[str, Any]) -> bool:
    """Whether somebody owns the field."""
    spec = entry["fieldsV1"].get("f:spec", {}).get("f:template", {}).get("f:spec", {})
    return "f:networks" in spec


def test_yaml(through: Caller, made: Any) -> None:
    body = "apiVersion: v1\nkind: Pod\nmetadata: {name: y}\nspec:\n  networks:\n  - podNetworkName: blue\n"
    body += "  containers: [{name: a, image: x, args: [12:30]}]\n"
    code, answer = through("POST", f"{PODS}?dryRun=All", body, "application/yaml")
    assert code == 201, answer
    assert (answer["spec"]["networks"], answer["spec"]["containers"][0]["args"]) == (BLUE, ["12:30"])


def test_a_watch_shows_the_list_and_its_changes(through: Caller, direct: Caller, made: Any) -> None:
    """Watches of all Pods and of the templates of Deployments, followed as an informer does: list, then watch."""
    version = through("GET", PODS)[1]["metadata"]["resourceVersion"]
    query = f"watch=true&resourceVersion={version}&timeoutSeconds=20&allowWatchBookmarks=true"
    events = through.stream(f"{PODS}?{query}")
    seen: list[tuple[str, Any]] = []
    done = threading.Event()

    def follow() -> None:
        for event in events:
            if event["object"]["metadata"].get("name") == "watched":
                seen.append((event["type"], event["object"]["spec"].get("networks")))
            if event["type"] == "DELETED":
                done.set()
                return

    thread = threading.Thread(target=follow)
    thread.start()
    made(PODS, pod("watched", networks=BLUE))
    patch = {"metadata": {"annotations": {KEY: text(RED)}}}
    assert direct("PATCH", f"{PODS}/watched", patch, MERGE)[0] == 200
    assert direct("DELETE", f"{PODS}/watched")[0] == 200
    assert done.wait(SECONDS)
    thread.join(SECONDS)
    # The API server marks a Pod more than once on its way out.
    assert list(dict.fromkeys(map(str, seen))) == [
        str(one) for one in (("ADDED", BLUE), ("MODIFIED", RED), ("DELETED", RED))
    ]


def test_a_watch_ends_when_the_api_server_ends_it(through: Caller) -> None:
    start = time.monotonic()
    events = list(through.stream(f"{PODS}?watch=true&timeoutSeconds=2"))
    assert 1 < time.monotonic() - start < 10
    assert all(event["type"] != "ERROR" for event in events)


def test_discovery_and_other_objects_go_through(through: Caller, direct: Caller) -> None:
    for path in ("/api", "/apis", "/apis/apps/v1", "/version", "/openapi/v3/apis/batch", "/api/v1/namespaces/default"):
        assert through("GET", path) == direct("GET", path), path
    assert through("GET", "/apis/nowhere.example/v1/things")[0] == 404
    code, scale = through("GET", f"{DEPLOYMENTS}/absent/scale")
    assert (code, scale["reason"]) == (404, "NotFound")


def test_openapi_is_kept_by_its_hash(through: Caller, direct: Caller) -> None:
    ours, theirs = (side("GET", "/openapi/v3")[1]["paths"] for side in (through, direct))
    changed = {name for name in ours if ours[name] != theirs[name]}
    assert changed == {"api/v1", "apis/apps/v1", "apis/batch/v1"}
    for name in changed:
        document = through("GET", ours[name]["serverRelativeURL"])[1]
        schemas = document["components"]["schemas"]
        assert "networks" in schemas["io.k8s.api.core.v1.PodSpec"]["properties"]
        patches = [
            p["patch"]["requestBody"]["content"]
            for p in document["paths"].values()
            if "requestBody" in p.get("patch", {})
        ]
        assert all(STRATEGIC in content for content in patches)


# --- rights


@pytest.fixture(scope="module")
def robot(direct: Caller) -> str:
    """The token of somebody who may create and change Deployments, but not read, and nothing else."""
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    assert direct("POST", accounts, {"metadata": {"name": "robot"}})[0] == 201
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    rules = [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["create", "update", "patch"]}]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "robot"}, "rules": rules}
    assert direct("POST", f"{rbac}/roles", role)[0] == 201
    subject = {"kind": "ServiceAccount", "name": "robot", "namespace": "default"}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "robot"}
    binding = {**role, "kind": "RoleBinding", "roleRef": ref, "subjects": [subject]}
    del binding["rules"]
    assert direct("POST", f"{rbac}/rolebindings", binding)[0] == 201
    code, found = direct("POST", f"{accounts}/robot/token", {"spec": {"expirationSeconds": 3600}})
    assert code == 201, found
    return str(found["status"]["token"])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X_Remote_User": "administrator", "X_Remote_Group": "system:masters"},
        {"x_remote_user": "administrator", "X_REMOTE_GROUP": "system:masters"},
        {"Impersonate_User": "administrator", "Impersonate_Group": "system:masters"},
        {"Connection": "close, X-Remote-User"},
    ],
)
def test_nobody_raises_his_rights(through: Caller, direct: Caller, robot: str, headers: dict[str, str]) -> None:
    for path in (PODS, "/api/v1/secrets", "/api/v1/nodes"):
        code, answer = through("GET", path, token=robot, **headers)
        assert code in {400, 403}, answer
        if code == 403:
            assert "system:serviceaccount:default:robot" in answer["message"]
        assert through("GET", path, token="", **headers)[0] in {400, 401, 403}
        assert through("GET", path, token="wrong", **headers)[0] in {400, 401}


def test_who_may_impersonate_may_through_the_proxy(through: Caller) -> None:
    code, answer = through("GET", PODS, Impersonate_User="somebody")
    assert code == 403
    assert 'User "somebody"' in answer["message"]


def test_the_api_server_sees_the_caller(through: Caller, robot: str) -> None:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    for token, name in ((robot, "system:serviceaccount:default:robot"), ("administrator", "administrator")):
        assert through("POST", path, review, token=token)[1]["status"]["userInfo"]["username"] == name


def test_who_may_write_but_not_read(through: Caller, direct: Caller, made: Any, robot: str) -> None:
    """The proxy reads with the caller's rights, or not at all."""
    made(DEPLOYMENTS, deployment("unread", networks=BLUE))
    path = f"{DEPLOYMENTS}/unread"
    assert through("PUT", path, deployment("unread", networks=RED), token=robot)[0] == 200
    assert carried(direct, path) == RED
    patch = [{"op": "replace", "path": "/spec/template/spec/networks", "value": BLUE}]
    code, answer = through("PATCH", path, patch, OPERATIONS, token=robot)
    assert (code, answer["details"]["name"]) == (403, "unread")
    assert carried(direct, path) == RED


# --- controllers


def test_controllers_carry_the_list_to_their_pods(through: Caller, direct: Caller, manager: Any, made: Any) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node"}, "spec": {}}
    assert direct("POST", "/api/v1/nodes", node)[0] == 201
    assert direct("PATCH", "/api/v1/nodes/node", {"spec": {"taints": None}}, MERGE)[0] == 200  # nobody else does
    labels = ("dep", "rs", "rc", "sts", "ds", "job", "cron")
    templates = {name: deployment(name, networks=BLUE)["spec"]["template"] for name in labels}
    once = {**templates["job"], "spec": {**templates["job"]["spec"], "restartPolicy": "Never"}}
    often = {**templates["cron"], "spec": {**templates["cron"]["spec"], "restartPolicy": "Never"}}
    assert direct("POST", "/api/v1/namespaces", {"metadata": {"name": "carried"}})[0] == 201
    apps, core, batch = (f"{group}/namespaces/carried" for group in ("/apis/apps/v1", "/api/v1", "/apis/batch/v1"))

    def with_selector(name: str, **more: Any) -> dict[str, Any]:
        return {"selector": {"matchLabels": {"app": name}}, "template": templates[name], **more}

    for path, name, spec in (
        (f"{apps}/deployments", "dep", with_selector("dep", replicas=1)),
        (f"{apps}/replicasets", "rs", with_selector("rs", replicas=1)),
        (
            f"{core}/replicationcontrollers",
            "rc",
            {"replicas": 1, "selector": {"app": "rc"}, "template": templates["rc"]},
        ),
        (f"{apps}/statefulsets", "sts", with_selector("sts", serviceName="sts")),
        (f"{apps}/daemonsets", "ds", with_selector("ds")),
        (f"{batch}/jobs", "job", {"template": once}),
        (f"{batch}/cronjobs", "cron", {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": often}}}),
    ):
        found = made(path, {"metadata": {"name": name}, "spec": spec})
        assert found["metadata"]["name"] == name
    deadline = time.monotonic() + 90  # a CronJob waits for the next minute
    while set(templates) - (seen := listed(through, f"{core}/pods")):
        assert time.monotonic() < deadline, seen
        time.sleep(0.5)
    direct("DELETE", "/api/v1/nodes/node")


def listed(through: Caller, path: str) -> set[str]:
    """The labels of Pods that show the list."""
    pods = through("GET", path)[1]["items"]
    return {one["metadata"].get("labels", {}).get("app", "") for one in pods if one["spec"].get("networks") == BLUE}
