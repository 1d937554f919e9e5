"""A kind cluster up and down: `python -m podnet_hack.localcluster.cluster up|down|env --cluster NAME`.

Up: find an engine (the user's, else ours), have a node image there (pulled, else built), let kind create the cluster
or revive the one that is there, give the workers a second interface, wait for nodes and DNS. Down: the reverse, and
when the last cluster of an engine of ours has gone, the engine goes too. Both may be run twice, and after a crash.
"""

import argparse
import os
import pathlib
import shutil
import sys
import time

from podnet_hack import command, errors, paths, progress
from podnet_hack.localcluster import components, config, daemon, engine, nodeimage

READY_SECONDS = 180
REVIVE_SECONDS = 60
SYSCTL_FILE = "/etc/sysctl.d/90-podnet.conf"
# The engine switches IPv6 off in containers on IPv4 networks; secondary networks of Pods need it.
SYSCTLS = """net.ipv6.conf.all.disable_ipv6 = 0
net.ipv6.conf.default.disable_ipv6 = 0
net.ipv6.conf.all.forwarding = 1
"""


def up(name: str) -> None:
    """Makes the cluster `name` run, whatever state it is in."""
    where = engine.find()
    with paths.locked(f"cluster-{name}"):
        if not _revived(where, name):
            _remove(where, name)
            _create(where, name, nodeimage.ensure(where))
        _connect_uplinks(where, name)
        _enable_ipv6(where, name)
        with progress.step("waiting for nodes and DNS"):
            wait_until_ready(name, READY_SECONDS)


def down(name: str) -> None:
    """Takes the cluster `name` away, and all that came with it."""
    where = engine.find_existing()
    if where:
        with paths.locked(f"cluster-{name}"), progress.step(f"removing the cluster {name}"):
            _remove(where, name)
        if where.ours and not _containers(where, "label=io.x-k8s.kind.cluster"):
            daemon.stop()
    kubeconfig(name).unlink(missing_ok=True)


def nodes(where: engine.Engine, name: str) -> list[str]:
    """The node containers of a cluster that run."""
    names = where.run("ps", "--filter", f"label=io.x-k8s.kind.cluster={name}", "--format", "{{.Names}}")
    return sorted(names.split())


def kubeconfig(name: str) -> pathlib.Path:
    """The file that reaches a cluster of this checkout."""
    return paths.BUILD / f"{name}.kubeconfig"


def kubectl(name: str, *argv: str, stdin: str | None = None, timeout: float | None = None) -> str:
    """Runs kubectl against a cluster."""
    env = {"KUBECONFIG": str(kubeconfig(name))}
    return command.run(kubectl_program(), *argv, env=env, stdin=stdin, timeout=timeout)


def kubectl_program() -> pathlib.Path:
    """The kubectl built with the cluster, else the user's own."""
    built = paths.cache() / components.KUBERNETES.key / "kubectl"
    if built.exists():
        return built
    found = shutil.which("kubectl")
    return pathlib.Path(found) if found else components.build(components.KUBERNETES) / "kubectl"


def wait_until_ready(name: str, seconds: int) -> None:
    """Waits for all nodes and for cluster DNS."""
    limit = f"--timeout={seconds}s"
    kubectl(name, "wait", "--for=condition=Ready", "nodes", "--all", limit)
    system = "--namespace=kube-system"
    kubectl(name, system, "rollout", "status", "deployment/coredns", limit)
    # After a restart of nodes the deployment's own status is older than its Pods'.
    kubectl(name, system, "wait", "--for=condition=Ready", "pods", "--selector=k8s-app=kube-dns", limit)


def usage(name: str) -> str:
    """How a person uses the cluster from a shell."""
    return f"export KUBECONFIG={kubeconfig(name)}\n{kubectl_program()} get nodes"


def environment(name: str) -> str:
    """Shell assignments for scripts: kubectl's, and the engine's for who looks into nodes."""
    where = engine.find_existing()
    values = {"KUBECONFIG": str(kubeconfig(name)), **(where.env if where else {})}
    values["PATH"] = os.pathsep.join([str(kubectl_program().parent), values.get("PATH", os.environ["PATH"])])
    return "\n".join(f"export {key}='{value}'" for key, value in values.items())


def _revived(where: engine.Engine, name: str) -> bool:
    """Whether the cluster is there and answers, after starting nodes that a crash or reboot stopped."""
    everything = _containers(where, f"label=io.x-k8s.kind.cluster={name}")
    if not _made(name).exists() or len(everything) != config.WORKERS + 1:
        return False
    with progress.step(f"reviving the cluster {name}"):
        try:
            where.run("start", *everything)
            _write_kubeconfig(where, name)
            _wait_for_kubelets(where, name, everything)
            wait_until_ready(name, REVIVE_SECONDS)
        except errors.HackError as error:
            progress.say(f"  the cluster {name} is made anew: {str(error).splitlines()[0]}")
            return False
    return True


def _wait_for_kubelets(where: engine.Engine, name: str, started: list[str]) -> None:
    """Waits until each kubelet has spoken since its node started: what the API says is older than that until then."""
    deadline = time.monotonic() + REVIVE_SECONDS
    while not _kubelets_spoke(where, name, started):
        if time.monotonic() > deadline:
            raise errors.NotReadyError(f"cannot revive the cluster {name}: not all kubelets came back")
        time.sleep(0.5)


def _kubelets_spoke(where: engine.Engine, name: str, started: list[str]) -> bool:
    times = where.run("inspect", "--format", "{{slice .Name 1}} {{.State.StartedAt}}", *started).splitlines()
    # Both are RFC 3339 in UTC: to the second they compare as text.
    template = '{range .items[*]}{.metadata.name} {.spec.renewTime}{"\\n"}{end}'
    lease = ("--namespace=kube-node-lease", "get", "leases", "--output", f"jsonpath={template}")
    try:
        renewed = dict(line.split() for line in kubectl(name, *lease, timeout=REVIVE_SECONDS).splitlines())
    except errors.HackError:
        return False
    return all(renewed.get(node, "")[:19] > time_[:19] for node, time_ in (line.split() for line in times))


def _create(where: engine.Engine, name: str, image: str) -> None:
    kubeconfig(name).parent.mkdir(parents=True, exist_ok=True)
    flags = ("--name", name, "--image", image, "--kubeconfig", kubeconfig(name), "--config", "-")
    rendered = config.render(config.scheduler_file(name))
    with progress.step(f"creating the kind cluster {name}"):
        kind(where, "create", "cluster", *flags, stdin=rendered)
    _made(name).touch()


def _remove(where: engine.Engine, name: str) -> None:
    kind(where, "delete", "cluster", "--name", name, "--kubeconfig", kubeconfig(name))
    if where.succeeds("network", "inspect", _uplink(name)):
        where.run("network", "rm", _uplink(name))
    shutil.rmtree(_made(name).parent, ignore_errors=True)


def _made(name: str) -> pathlib.Path:
    """Exists once kind has made all of a cluster: what a run that was killed left half made is not worth reviving."""
    return paths.cache() / "clusters" / name / "made"


def _write_kubeconfig(where: engine.Engine, name: str) -> None:
    kubeconfig(name).parent.mkdir(parents=True, exist_ok=True)
    kind(where, "export", "kubeconfig", "--name", name, "--kubeconfig", kubeconfig(name))


def _connect_uplinks(where: engine.Engine, name: str) -> None:
    """Gives each worker an eth1 on a wire of its own: the uplink of bridges, VLANs and macvlans."""
    network = _uplink(name)
    if not where.succeeds("network", "inspect", network):
        where.run("network", "create", "--driver=bridge", network)
    for node in nodes(where, name):
        if not node.endswith("-control-plane") and not _has_uplink(where, node):
            where.run("network", "connect", network, node)


def _has_uplink(where: engine.Engine, node: str) -> bool:
    return where.succeeds("exec", node, "test", "-e", "/sys/class/net/eth1")


def _uplink(name: str) -> str:
    return f"{name}-uplink"


def _enable_ipv6(where: engine.Engine, name: str) -> None:
    # In a file, because a node that restarts reads it again.
    for node in nodes(where, name):
        where.run("exec", "--interactive", node, "cp", "/dev/stdin", SYSCTL_FILE, stdin=SYSCTLS)
        where.run("exec", node, "sysctl", "--load", SYSCTL_FILE)


def _containers(where: engine.Engine, label: str) -> list[str]:
    return where.run("ps", "--all", "--filter", label, "--format", "{{.Names}}").split()


def kind(where: engine.Engine, *argv: command.Argument, stdin: str | None = None) -> str:
    """Runs kind on an engine."""
    return command.run(kind_program(), *argv, env=where.env, stdin=stdin)


def kind_program() -> pathlib.Path:
    """The kind that our configuration was tried with, else the user's own where there is no Go."""
    if shutil.which("go") or (paths.cache() / components.KIND.key).exists():
        return components.build(components.KIND) / "kind"
    found = shutil.which("kind")
    if found is None:
        raise errors.MissingError("cannot make a local cluster: neither kind nor Go (package golang) is installed")
    return pathlib.Path(found)


def main(argv: list[str]) -> None:
    """The program."""
    parser = argparse.ArgumentParser(prog="cluster", description=__doc__)
    parser.add_argument("action", choices=("up", "down", "env"))
    parser.add_argument("--cluster", default="podnet")
    given = parser.parse_args(argv)
    if given.action == "up":
        up(given.cluster)
        print(f"\nThe cluster {given.cluster} is up:\n\n{usage(given.cluster)}\n")
    elif given.action == "down":
        down(given.cluster)
    else:
        print(environment(given.cluster))


if __name__ == "__main__":
    sys.exit(errors.reported(lambda: main(sys.argv[1:])))
