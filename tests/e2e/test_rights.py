"""No program can do more than it must: what the API server says to each account of podnet."""

import pytest
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


@pytest.mark.parametrize("kind", ["node", "nodenetwork"])
def test_a_kni_server_changes_its_own_node_and_no_other(shared: Space, kind: str) -> None:
    own, other = shared.world.workers()[:2]
    caller = (f"--as={account('podnet-kni-server')}", f"--as-user-extra={NODE_NAME}={own}", "--dry-run=server")
    flags = ["--type=merge"]
    if kind == "nodenetwork":
        flags += ["--subresource=status", '--patch={"status":{"networks":[]}}']
    else:
        flags += ['--patch={"metadata":{"labels":{"podnet.local/test":"x"}}}']
    shared.world.kubectl("patch", kind, own, *flags, *caller)
    with pytest.raises(errors.CommandError) as caught:
        shared.world.kubectl("patch", kind, other, *flags, *caller)
    assert f"the KNI server of node {own} cannot change what belongs to node {other}" in caught.value.output
