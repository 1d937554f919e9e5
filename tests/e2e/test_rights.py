"""No program can do more than it must: what the API server says to each account of podnet."""

import json

import pytest
from podnet_api import names
from podnet_hack import errors
from podnet_hack.demo.world import SYSTEM
from podnet_tests.space import Space

PROGRAMS = ("podnet-kni-server", "podnet-scheduler-extender", "podnet-controller", "podnet-webhook", "podnet-compat")
FORBIDDEN = ("create pods", "delete pods", "get secrets", "list secrets", "create clusterrolebindings", "delete nodes")
NODE_NAME = "authentication.kubernetes.io/node-name"


def account(program: str) -> str:
    """The account of a program."""
    return f"system:serviceaccount:{SYSTEM}:{program}"


@pytest.mark.parametrize("program", PROGRAMS)
def test_nobody_may_do_what_nobody_needs(shared: Space, program: str) -> None:
    for what in FORBIDDEN:
        with pytest.raises(errors.CommandError) as caught:
            shared.world.kubectl("auth", "can-i", *what.split(), f"--as={account(program)}")
        assert caught.value.output.startswith("no"), what


def test_a_kni_server_changes_its_own_node_and_no_other(shared: Space) -> None:
    own, other = shared.world.workers()[:2]
    flags = (f"--as={account('podnet-kni-server')}", f"--as-user-extra={NODE_NAME}={own}", "--dry-run=server")
    label = '--patch={"metadata":{"labels":{"podnet.local/test":"x"}}}'
    shared.world.kubectl("patch", "node", own, "--type=merge", label, *flags)
    shared.world.kubectl("create", "--filename=-", *flags, stdin=_block(own))
    for argv, stdin in (
        (("patch", "node", other, "--type=merge", label), None),
        (("create", "--filename=-"), _block(other)),
    ):
        with pytest.raises(errors.CommandError) as caught:
            shared.world.kubectl(*argv, *flags, stdin=stdin)
        assert f"the KNI server of node {own} cannot change what belongs to node {other}" in caught.value.output


def _block(node: str) -> str:
    spec = {"networkConfig": "rights", "cidr": "10.140.0.0/28", "nodeName": node}
    meta = {"name": "rights-10-140-0-0-28"}
    return json.dumps({"apiVersion": names.KNI_API_VERSION, "kind": "IPBlock", "metadata": meta, "spec": spec})
