"""What Multus' users rely on, on a cluster: the rows of tests/unit/compat/parity.yaml that need a node.

All Pods are made at once. A plugin of a few lines of shell, on one worker, writes down how it is called. Longer than
other files, because one set of Pods serves all rows: what a row looks at stands beside what it looks for.
"""

import dataclasses
import ipaddress
import itertools
import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from podnet_api import names
from podnet_hack import image
from podnet_hack.demo import world
from podnet_tests import objects
from podnet_tests.objects import Object
from podnet_tests.space import Space
from podnet_tests.waiting import eventually

PLUGIN, LOG = "/opt/cni/bin/podnet-parity", "/run/podnet-parity.log"
FILES = "/etc/cni/net.d/98-parity-broken.conf", "/etc/cni/net.d/99-parity.conf"
STATIC = "/etc/kubernetes/manifests"
LEGACY, STATUS = names.LEGACY_NETWORKS_ANNOTATION, names.NPWG_STATUS_ANNOTATION
PLURAL = "k8s.v1.cni.cncf.io/networks-status"
ATTACH_WITH = f"{names.GROUP}/attach-with"
ALL = dict.fromkeys(("ips", "mac", "portMappings", "bandwidth", "infinibandGUID", "CNIDeviceInfoFile"), True)
GUID, MAC, DEVICE = "c2:11:22:33:44:55:66:77", "02:00:00:00:77:01", "0000:00:01.0"
ENTRY = {
    "name": "calls",
    "interface": "d0",
    "ips": ["10.9.0.5/24"],
    "mac": MAC,
    "infiniband-guid": GUID,
    "bandwidth": {"ingressRate": 8000, "ingressBurst": 8000},
    "portMappings": [{"hostPort": 31999, "containerPort": 80}],
    "cni-args": {"b": "pod", "c": 1},
    "deviceID": DEVICE,
}
SCRIPT = r"""#!/bin/sh
conf=$(cat)
pod=$(printf %s "$CNI_ARGS" | tr ';' '\n' | sed -n 's/^K8S_POD_NAME=//p')
[ "$CNI_COMMAND" = VERSION ] || printf '%s\t%s\t%s\t%s\t%s\n' "$pod" "$CNI_COMMAND" "$CNI_IFNAME" "$CNI_ARGS" \
  "$(printf %s "$conf" | tr '\n\t' '  ')" >> LOG
inside() { nsenter --net="$CNI_NETNS" "$@"; }
mac=02:00:00:00:00:$(printf %s "$CNI_IFNAME" | cksum | cut -c1-2)
one="{\"name\":\"$CNI_IFNAME\",\"mac\":\"$mac\",\"sandbox\":\"$CNI_NETNS\",\"mtu\":1500}"
case "$CNI_COMMAND" in
VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0","1.1.0"]}' ;;
ADD)
  case "$conf" in
  *'"fail":true'*) echo '{"cniVersion":"1.0.0","code":100,"msg":"told to fail"}'; exit 1 ;;
  *'"answer":"none"'*) echo '{"cniVersion":"1.0.0"}'; exit 0 ;;
  esac
  inside ip link add "$CNI_IFNAME" address "$mac" type bridge && inside ip link set "$CNI_IFNAME" up
  case "$conf" in
  *'"answer":"two"'*)
    inside ip address add 10.8.0.5/24 dev "$CNI_IFNAME"
    other="{\"name\":\"${CNI_IFNAME}b\",\"mac\":\"$mac\",\"sandbox\":\"$CNI_NETNS\"}"
    echo "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"br0\"},$one,$other],\"ips\":[" \
      '{"address":"10.8.0.5/24","interface":1},{"address":"10.8.1.5/24","interface":2}]}' ;;
  *) echo "{\"cniVersion\":\"1.0.0\",\"interfaces\":[$one]}" ;;
  esac ;;
DEL) [ ! -e "$CNI_NETNS" ] || inside ip link delete "$CNI_IFNAME" 2>/dev/null || true ;;
esac
""".replace("LOG", LOG)

RESOURCE, DEVICES = "podnet.local/dev", ("dev-b", "dev-a")
INFO = "/run/k8s.cni.cncf.io/devinfo"
INFO_FILE = f"{INFO}/dp/podnet.local-dev-dev-a-device.json"
KNOWN = {"type": "pci", "version": "1.1.0", "pci": {"pci-address": "0000:01:00.2", "rdma-device": "mlx5_2"}}
DEVICE_PLUGIN = f"""
import concurrent.futures, grpc, os, time
place, socket = "/var/lib/kubelet/device-plugins/", "podnet-parity.sock"
def field(number, value): return bytes([number << 3 | 2, len(value)]) + value
devices = b"".join(field(1, field(1, one.encode()) + field(2, b"Healthy")) for one in {DEVICES})
def watch(request, context):
    yield devices
    while context.is_active(): time.sleep(1)
class Plugin(grpc.GenericRpcHandler):
    def service(self, call):
        if call.method.endswith("/ListAndWatch"): return grpc.unary_stream_rpc_method_handler(watch)
        answer = field(1, b"") if call.method.endswith("/Allocate") else b""
        return grpc.unary_unary_rpc_method_handler(lambda request, context: answer)
if os.path.exists(place + socket): os.unlink(place + socket)
server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
server.add_generic_rpc_handlers((Plugin(),))
server.add_insecure_port("unix:" + place + socket)
server.start()
register = grpc.insecure_channel("unix:" + place + "kubelet.sock").unary_unary("/v1beta1.Registration/Register")
register(field(1, b"v1beta1") + field(2, socket.encode()) + field(3, b"{RESOURCE}"))
server.wait_for_termination()
"""
"""A device plugin (v1beta1 of the kubelet's API), its messages put together by hand: they have three fields."""


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of the plugin."""

    pod: str
    command: str
    interface: str
    args: str
    config: Any


@dataclasses.dataclass(frozen=True)
class Town:
    """The Pods, and what was called for them."""

    space: Space
    worker: str
    other: str
    own: str
    """JSON name of the NAD hl."""

    def calls(self, pod: str) -> list[Call]:
        """Of the plugin, for one Pod."""
        lines = self.space.world.on_node(self.worker, "sh", "-c", f"cat {LOG} 2>/dev/null || true").splitlines()
        found = [line.split("\t", 4) for line in lines]
        own = f"K8S_POD_NAMESPACE={self.space.namespace};"
        calls = [Call(who, what, name, args, json.loads(text)) for who, what, name, args, text in found]
        return [call for call in calls if call.pod == pod and own in call.args]

    def status(self, pod: str) -> list[Object]:
        """The rows of network-status."""
        rows: list[Object] = json.loads(self.space.world.get("pod", pod)["metadata"]["annotations"][STATUS])
        return rows

    def defaults(self, pod: str) -> list[str]:
        """The interfaces that IPv4 default routes lead over."""
        text = self.space.world.inside(pod, "ip", "-4", "-json", "route", "show", "default")
        return [route["dev"] for route in json.loads(text or "[]")]


def _bridge(bridge: str, subnet: str, **more: Any) -> Object:
    ipam = {"type": "host-local", "subnet": subnet, "routes": [{"dst": "0.0.0.0/0"}]}
    return {"cniVersion": "1.0.0", "type": "bridge", "bridge": bridge, "isGateway": True, "ipam": ipam, **more}


def _calls(**more: Any) -> Object:
    return {"cniVersion": "1.0.0", "type": "podnet-parity", **more}


def _nad(name: str, config: Object | None, **annotations: str) -> Object:
    spec = {} if config is None else {"spec": {"config": json.dumps(config, separators=(",", ":"))}}
    meta = {"name": name, "annotations": annotations}
    return {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": meta, **spec}


def _nads(own: str, other: str) -> list[Object]:
    nested = {"cni": {"a": "nad", "b": "nad"}}
    hl = _bridge("parhl", "10.133.0.0/24", name=own, dns={"nameservers": ["10.133.0.53"], "domain": "example.org"})
    return [
        _nad("calls", _calls(capabilities=ALL, args=nested)),
        _nad("failing", _calls(fail=True)),
        _nad("bare", _calls(answer="none")),
        _nad("two", _calls(answer="two")),
        _nad("hl", hl, **{ATTACH_WITH: "plugins"}),
        _nad("native", _bridge("parnat", "10.134.0.0/24")),
        _nad("eq1", _bridge("pareq1", "10.135.0.0/24", isGateway=False)),
        _nad("eq2", _bridge("pareq2", "10.135.0.0/24", isGateway=False, ipMasq=False)),
        _nad("parity-file", None),
        _nad("devices", _calls(), **{"k8s.v1.cni.cncf.io/resourceName": RESOURCE}),
        _nad("there", _bridge("parthere", "10.136.0.0/24"),
             **{"k8s.v1.cni.cncf.io/nodeSelector": f"kubernetes.io/hostname={other}"}),
    ]  # fmt: skip


def _pod(name: str, text: str | list[Object], node: str = "", **spec: Any) -> Object:
    made = objects.pod(name, **(objects.on_node(node) if node else {}), **spec)
    made["metadata"]["annotations"] = {LEGACY: text if isinstance(text, str) else json.dumps(text)}
    return made


def _pods(node: str) -> list[Object]:
    gateway = "10.134.0.1"
    return [
        _pod("calls", [ENTRY], node),
        _pod("rollback", "calls@a0,calls@a1,failing@a2", node),
        _pod("order", "calls@o0,native@o1,calls@o2", node),
        _pod("carried", [{"name": "hl", "ips": ["10.133.0.77"], "mac": MAC}], node),
        _pod("two", "two", node),
        _pod("bare", "bare", node),
        _pod("thrice", "native,native,native", node),
        _pod("names", "native@my_if.100,native@abcdefghijklmno", node),
        _pod("equal", "eq1,eq2", node),
        _pod("over", [{"name": "native", "default-route": [gateway]}], node),
        _pod("none", [{"name": "native", "default-route": []}], node),
        _pod("there", "there"),
        _pod("file", "parity-file", node),
        _pod("hot", "native", node),
        _pod("host", "native", node, hostNetwork=True),
        _inert(node),
        _with_devices("devices", "devices@v0,devices@v1", node, 2),
        _with_devices("deviceless", "devices", node, 0),
    ]


def _inert(node: str) -> Object:
    made = objects.deployment("inert", 1, **objects.on_node(node))
    made["metadata"]["annotations"] = {LEGACY: "native"}
    return made


def _device_plugin(node: str) -> Object:
    made = objects.pod("device-plugin", **objects.on_node(node))
    mount = {"name": "plugins", "mountPath": "/var/lib/kubelet/device-plugins"}
    container = {"image": image.PROGRAMS, "command": ["python3", "-c", DEVICE_PLUGIN], "volumeMounts": [mount]}
    made["spec"]["containers"][0] |= container | {"securityContext": {"runAsUser": 0}}
    made["spec"]["volumes"] = [{"name": "plugins", "hostPath": {"path": mount["mountPath"]}}]
    return made


def _with_devices(name: str, text: str, node: str, count: int) -> Object:
    """A device for each of ``count`` containers."""
    made = _pod(name, text, node)
    first = made["spec"]["containers"][0]
    asked = {"resources": {"limits": {RESOURCE: "1"}}}
    made["spec"]["containers"] = [first | asked | {"name": f"c{i}"} for i in range(count)] or [first]
    return made


def _static(name: str, namespace: str, **annotations: str) -> Object:
    made = objects.pod(name)
    made["metadata"] |= {"namespace": namespace, "annotations": annotations}
    made["spec"]["containers"][0] |= {"imagePullPolicy": "IfNotPresent", "image": image.TEST}
    return made


@pytest.fixture(scope="module")
def town(shared: Space) -> Iterator[Town]:
    worker, other = shared.world.workers()[:2]
    made = Town(shared, worker, other, f"parity-own-{shared.namespace}")
    listed = json.dumps([{"podNetworkName": "default"}, {"podNetworkName": f"{shared.namespace}.native"}])
    statics = {
        "parity-refused": _static("parity-refused", shared.namespace, **{LEGACY: "native"}),
        "parity-listed": _static("parity-listed", shared.namespace, **{names.NETWORKS_ANNOTATION: listed}),
    }
    _prepare(shared, worker)
    shared.make(_device_plugin(worker), *_nads(made.own, other))
    eventually(lambda: _lacking(shared, worker), 40)
    _write(shared, worker, {f"{STATIC}/{name}.json": json.dumps(item) for name, item in statics.items()})
    shared.make(*_pods(worker))
    try:
        ready = [one["metadata"]["name"] for one in _pods(worker) if one["kind"] == "Pod"]
        shared.wait_ready(*(name for name in ready if name not in {"rollback", "deviceless"}))
        yield made
    finally:
        shared.world.on_node(worker, "rm", "-f", *(f"{STATIC}/{name}.json" for name in statics))
        shared.world.kubectl("delete", "deployment,pod", "--all", "--wait=false")
        eventually(lambda: _attached(shared, worker), 60)  # the plugin is needed for that
        shared.world.on_node(worker, "rm", "-f", PLUGIN, LOG, INFO_FILE, *FILES)


def _lacking(space: Space, worker: str) -> str:
    """What must be there before the Pods: kube-scheduler wakes no Pod of ours when a node's resources grow."""
    devices = space.world.get("node", worker)["status"]["allocatable"].get(RESOURCE, "0")
    mirrored = space.world.find("podnetwork", f"{space.namespace}.native")
    return "" if mirrored and devices == str(len(DEVICES)) else f"mirrored: {bool(mirrored)}, {devices} devices"


def _attached(space: Space, worker: str) -> str:
    """What the plugin still holds."""
    kept = space.world.on_node(worker, "sh", "-c", "grep -l podnet-parity /var/lib/kni/cni/*.json || true")
    return f"{kept.split()} are left" if kept else ""


def _prepare(space: Space, worker: str) -> None:
    wanted = _bridge("parfile", "10.137.0.0/24", name="parity-file")
    space.world.on_node(worker, "mkdir", "-p", f"{INFO}/dp")
    files = {PLUGIN: SCRIPT, FILES[0]: "{", FILES[1]: json.dumps(wanted), INFO_FILE: json.dumps(KNOWN)}
    _write(space, worker, files)
    space.world.on_node(worker, "chmod", "755", PLUGIN)


def _write(space: Space, node: str, files: dict[str, str]) -> None:
    for path, text in files.items():
        space.world.on_node(node, "sh", "-c", f"printf %s {shlex.quote(text)} > {path}")


def _commands(calls: list[Call]) -> list[str]:
    return [f"{call.command} {call.interface}" for call in calls if call.command in {"ADD", "DEL"}]


def _added(town: Town) -> Call:
    return next(call for call in town.calls("calls") if call.command == "ADD")


def test_untouched(town: Town) -> None:
    found = town.space.world.on_node(town.worker, "ls", "/etc/cni/net.d").split()
    assert not [name for name in found if "multus" in name or "podnet" in name]


def test_cni_args(town: Town) -> None:
    pairs = dict(pair.split("=", 1) for pair in _added(town).args.split(";"))
    pod = town.space.world.get("pod", "calls")
    assert pairs["IgnoreUnknown"] in {"1", "true"}
    assert (pairs["K8S_POD_NAMESPACE"], pairs["K8S_POD_NAME"]) == (town.space.namespace, "calls")
    assert pairs["K8S_POD_UID"] == pod["metadata"]["uid"]
    assert len(pairs["K8S_POD_INFRA_CONTAINER_ID"]) == 64
    assert (pairs["IP"], pairs["MAC"]) == ("10.9.0.5/24", MAC)


def test_carried(town: Town) -> None:
    assert "10.133.0.77/24" in town.space.world.interfaces("carried")["net1"]
    assert MAC in town.space.world.inside("carried", "ip", "link", "show", "net1")
    eventually(lambda: "" if "CNI_ARGS carries it" in town.space.said("carried") else "no Event", 20)


def test_runtime_config(town: Town) -> None:
    told = _added(town).config["runtimeConfig"]
    assert (told["ips"], told["mac"], told["infinibandGUID"]) == (["10.9.0.5/24"], MAC, GUID)
    assert told["bandwidth"]["ingressRate"] == 8000
    assert told["portMappings"] == [{"hostPort": 31999, "containerPort": 80, "protocol": "tcp"}]


def test_args_merged(town: Town) -> None:
    assert _added(town).config["args"]["cni"] == {"a": "nad", "b": "pod", "c": 1}


def test_device_id(town: Town) -> None:
    config = _added(town).config
    assert (config["deviceID"], config["pciBusID"]) == (DEVICE, DEVICE)
    path = config["runtimeConfig"]["CNIDeviceInfoFile"]
    assert path.startswith("/var/run/k8s.cni.cncf.io/devinfo/cni/")


def test_devices(town: Town) -> None:
    added = {call.interface: call.config["deviceID"] for call in town.calls("devices") if call.command == "ADD"}
    assert added == {"v0": "dev-a", "v1": "dev-b"}


def test_device_info(town: Town) -> None:
    rows = {row["interface"]: row for row in town.status("devices")}
    assert rows["v0"]["device-info"] == KNOWN
    assert "device-info" not in rows["v1"]


def test_deviceless(town: Town) -> None:
    words = f"the kubelet gave the Pod 0 of {RESOURCE}"
    eventually(lambda: "" if words in town.space.said("deviceless") else "it does not say so", 20)


def test_name_injected(town: Town) -> None:
    assert _added(town).config["name"] == "calls"


def test_json_name(town: Town) -> None:
    kept = town.space.world.on_node(town.worker, "ls", f"/var/lib/cni/networks/{town.own}").split()
    assert "10.133.0.77" in kept


def test_file_of_node(town: Town) -> None:
    [address] = town.space.world.interfaces("file")["net1"]
    assert ipaddress.ip_interface(address).network == ipaddress.ip_network("10.137.0.0/24")


def test_order(town: Town) -> None:
    assert [row["interface"] for row in town.status("order")] == ["eth0", "o0", "o1", "o2"]
    done = _commands(town.calls("order"))
    last = len(done) - 1 - done[::-1].index("ADD o0")  # on a busy node an attempt may run out of time: the next counts
    assert done[last : last + 2] == ["ADD o0", "ADD o2"]


def test_rollback(town: Town) -> None:
    def probe() -> str:
        # On a busy node a DEL may be given up and come once more, which CNI allows, and an attempt may run out of
        # time before its last ADD: it is undone all the same, and the next one gets further.
        done = ", ".join(command for command, _ in itertools.groupby(_commands(town.calls("rollback"))))
        return "" if "ADD a0, ADD a1, ADD a2, DEL a2, DEL a1, DEL a0" in done else f"called: {done}"

    eventually(probe, 20)
    eventually(lambda: "" if "told to fail" in town.space.said("rollback") else "the reason is not told", 20)


def test_inert(town: Town) -> None:
    town.space.wait_deployed("inert", 1)
    [pod] = town.space.pods("inert")
    assert names.NETWORKS_ANNOTATION not in pod["metadata"].get("annotations", {})


def test_host_network(town: Town) -> None:
    assert names.NETWORKS_ANNOTATION not in town.space.world.get("pod", "host")["metadata"]["annotations"]


def test_absent(town: Town) -> None:
    said = town.space.refused(_pod("absent", "nowhere"))
    assert f"cannot find a network-attachment-definition (nowhere) in namespace ({town.space.namespace})" in said


def test_annotation_kept(town: Town) -> None:
    annotations = town.space.world.get("pod", "calls")["metadata"]["annotations"]
    assert annotations[LEGACY] == json.dumps([ENTRY])


def test_names(town: Town) -> None:
    assert {"my_if.100", "abcdefghijklmno"} <= set(town.space.world.interfaces("names"))


def test_thrice(town: Town) -> None:
    found = town.space.world.interfaces("thrice")
    assert len({found[name][0] for name in ("net1", "net2", "net3")}) == 3


def test_equal_subnets(town: Town) -> None:
    found = town.space.world.interfaces("equal")
    networks = {ipaddress.ip_interface(found[name][0]).network for name in ("net1", "net2")}
    assert networks == {ipaddress.ip_network("10.135.0.0/24")}


@pytest.mark.parametrize("pod", ["carried", "thrice", "file"])
def test_default_kept(town: Town, pod: str) -> None:
    assert town.defaults(pod) == ["eth0"]


def test_default_over(town: Town) -> None:
    assert town.defaults("over") == ["net1"]


def test_default_none(town: Town) -> None:
    assert town.defaults("none") == []


def test_node_selector(town: Town) -> None:
    assert town.space.world.get("pod", "there")["spec"]["nodeName"] == town.other


def test_status_rows(town: Town) -> None:
    first, second = town.status("carried")
    assert (first["interface"], first["default"]) == ("eth0", True)
    assert (second["name"], second["interface"]) == (f"{town.space.namespace}/hl", "net1")
    assert (second["ips"], second["mac"], second["mtu"]) == (["10.133.0.77"], MAC, 1500)
    assert "default" not in second


def test_two_rows(town: Town) -> None:
    _, one, other = town.status("two")
    assert (one["interface"], one["ips"]) == ("net1", ["10.8.0.5"])
    assert (other["interface"], other["ips"]) == ("net1b", ["10.8.1.5"])


def test_bare_row(town: Town) -> None:
    assert town.status("bare")[1:] == [{"name": f"{town.space.namespace}/bare", "dns": {}}]


def test_dns_and_gateway(town: Town) -> None:
    row = town.status("carried")[1]
    assert row["gateway"] == ["10.133.0.1"]
    assert (row["dns"]["nameservers"], row["dns"]["domain"]) == (["10.133.0.53"], "example.org")


def test_plural(town: Town) -> None:
    annotations = town.space.world.get("pod", "carried")["metadata"]["annotations"]
    assert annotations[PLURAL] == annotations[STATUS]


def test_events(town: Town) -> None:
    wanted = f"AddedInterface: Add net1 [10.133.0.77/24] from {town.space.namespace}/hl"
    eventually(lambda: "" if wanted in town.space.events("carried") else str(town.space.events("carried")), 20)


def test_static_refused(town: Town) -> None:
    name = f"parity-refused-{town.worker}"
    eventually(lambda: "" if "a static Pod passes no admission" in town.space.said(name) else "not refused", 40)
    assert not world.runs_container(town.space.world.get("pod", name))


def test_static_attached(town: Town) -> None:
    name = f"parity-listed-{town.worker}"

    def probe() -> str:
        rows = town.space.world.get("pod", name)["metadata"]["annotations"].get(STATUS)
        return "" if rows and len(json.loads(rows)) == 2 else f"no status on the mirror: {town.space.said(name)}"

    eventually(probe, 40)


def test_hot_plug(town: Town) -> None:
    edited = f"{LEGACY}=native,eq1"
    town.space.world.kubectl("annotate", "pod", "hot", edited, "--overwrite")
    eventually(lambda: "" if "net2" in town.space.world.interfaces("hot") else "no net2", 20)
    town.space.world.kubectl("annotate", "pod", "hot", f"{LEGACY}-")
    eventually(lambda: "" if "net1" not in town.space.world.interfaces("hot") else "still there", 20)


def test_del_from_cache(town: Town) -> None:
    edited = {"spec": {"config": json.dumps(_calls(capabilities=ALL, edited=True))}}
    town.space.world.kubectl("patch", "net-attach-def", "calls", "--type=merge", f"--patch={json.dumps(edited)}")
    town.space.world.kubectl("delete", "pod", "calls", "order", "devices")
    eventually(lambda: "" if "DEL d0" in _commands(town.calls("calls")) else "no DEL", 20)
    [deleted] = [call for call in town.calls("calls") if call.command == "DEL"][:1]
    assert "edited" not in deleted.config
    assert deleted.config["runtimeConfig"]["mac"] == MAC
    left = town.space.world.on_node(town.worker, "sh", "-c", f"ls {INFO}/cni").split()
    assert not [name for name in left if town.space.namespace in name], "DEL removes what it was told of devices"


def test_del_reversed(town: Town) -> None:
    done: list[str] = []

    def probe() -> str:
        done[:] = _commands(town.calls("order"))
        return "" if done[-1] == "DEL o0" else f"called: {done}"

    eventually(probe, 20)
    last = len(done) - done[::-1].index("ADD o2")  # what an attempt undid that ran out of time counts for nothing
    assert [one for one in done[last:] if one.startswith("DEL")][:2] == ["DEL o2", "DEL o0"]
