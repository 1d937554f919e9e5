"""The KNI service of a real node, asked over its socket from inside the KNI server's own container."""

import json

from podnet_api import names
from podnet_hack.demo.world import SYSTEM
from podnet_tests import objects
from podnet_tests.space import Space

# Runs where the socket is. A sandbox that no runtime knows: made, attached, looked at, detached and removed by hand.
SCRIPT = """
import json, sys
import grpc
from podnet_api.knirpc import kni_pb2 as pb, kni_pb2_grpc
name, namespace, network, key = sys.argv[1:]
stub = kni_pb2_grpc.KNIStub(grpc.insecure_channel("unix:/run/kni/kni.sock"))
call = lambda method, request: getattr(stub, method)(request, timeout=10)
plain = lambda configs: {i: {"network": c.pod_network, "addresses": list(c.cidr), "mac": c.mac, "mtu": c.mtu}
                         for i, c in configs.items()}
call("SetupNodeNetwork", pb.SetupNodeNetworkRequest())
networks = {n.name: n.ready for n in call("QueryNodeNetworks", pb.QueryNodeNetworksRequest()).networks}
running = call("QueryPodNetwork", pb.QueryPodNetworkRequest(name=name, namespace=namespace)).ipconfigs
pod = {"name": "by-hand", "namespace": namespace}
path = call("CreateNetwork", pb.CreateNetworkRequest(uid="by-hand-1", **pod)).netns_path
request = pb.AttachInterfaceRequest(id="by-hand-1", pod_uid="by-hand-1", isolation=pb.Isolation(path=path),
                                    annotations={key: json.dumps([{"podNetworkName": network}])}, **pod)
attached = plain(call("AttachInterface", request).ipconfigs)
again = plain(call("AttachInterface", request).ipconfigs)
queried = plain(call("QueryPodNetwork", pb.QueryPodNetworkRequest(id="by-hand-1")).ipconfigs)
for _ in range(2):
    call("DetachInterface", pb.DetachInterfaceRequest(id="by-hand-1", **pod))
try:
    call("QueryPodNetwork", pb.QueryPodNetworkRequest(id="by-hand-1"))
    code = "OK"
except grpc.RpcError as error:
    code = error.code().name
call("DeleteNetwork", pb.DeleteNetworkRequest(id="by-hand-1", netns_path=path, **pod))
print(json.dumps({"networks": networks, "running": plain(running), "attached": attached, "again": again,
                  "queried": queried, "after": code}))
"""


def test_all_seven_calls_on_a_real_node(space: Space) -> None:
    node = space.world.workers()[0]
    name = space.network("net", bridge={}, on=[node], ipam=objects.pool("10.140.0.0/16", "fd00:140::/64"))
    space.make(objects.pod("runs", name))
    space.wait_ready("runs")
    server = space.world.kni_server(node)
    assert server is not None
    arguments = ("runs", space.namespace, name, names.NETWORKS_ANNOTATION)
    system = space.world.in_namespace(SYSTEM)
    pod = str(server["metadata"]["name"])
    told = json.loads(system.kubectl("exec", pod, "--", "python3", "-c", SCRIPT, *arguments))
    assert told["networks"][name] is True
    assert [a.partition("/")[0] for a in told["running"]["net1"]["addresses"]] == space.addresses("runs", name)
    [(interface, made)] = told["attached"].items()
    assert (interface, made["network"], len(made["addresses"])) == ("net0", name, 2)
    assert told["attached"] == told["again"] == told["queried"]
    assert told["after"] == "NOT_FOUND"
