"""Builds the programs of a cluster from their Go modules, once per version and user.

Called by nodeimage, engine and cluster where nothing can be pulled. Each component is a module of our own that
requires the real one: the checksum database vouches for what comes in, and the mains are built where they lie.
"""

import dataclasses
import json
import os
import pathlib
import shutil
from typing import Any

from podnet_hack import command, errors, paths, progress
from podnet_hack.localcluster import versions

ETCD_MAIN = """package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
"""


@dataclasses.dataclass(frozen=True)
class Component:
    """One Go module, and which of its mains we want."""

    name: str
    module: str
    version: str
    packages: tuple[str, ...]
    ldflags: str = ""
    main: str = ""
    """The source of a main of our own, where the module has none that can be built from outside."""

    @property
    def key(self) -> str:
        """Where it lies in the cache."""
        return f"go/{self.name}-{self.version}"


def _kubernetes_ldflags() -> str:
    major, minor, _ = versions.KUBERNETES.split(".")
    values = {
        "gitVersion": "v" + versions.KUBERNETES,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    # Without these the server calls itself v0.0.0, which kubeadm refuses.
    places = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(f"-X {place}.{name}={value}" for place in places for name, value in values.items())


KUBERNETES = Component(
    "kubernetes",
    "k8s.io/kubernetes",
    versions.KUBERNETES,
    tuple(
        "k8s.io/kubernetes/cmd/" + name
        for name in (
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kube-proxy",
            "kubelet",
            "kubectl",
            "kubeadm",
        )
    ),
    ldflags=_kubernetes_ldflags(),
)
CONTAINERD = Component(
    "containerd",
    "github.com/containerd/containerd/v2",
    versions.CONTAINERD,
    tuple(
        "github.com/containerd/containerd/v2/cmd/" + name for name in ("containerd", "containerd-shim-runc-v2", "ctr")
    ),
    ldflags=f"-X github.com/containerd/containerd/v2/version.Version=v{versions.CONTAINERD}",
)
ETCD = Component("etcd", "go.etcd.io/etcd/server/v3", versions.ETCD, ("podnet.local/etcd",), main=ETCD_MAIN)
COREDNS = Component("coredns", "github.com/coredns/coredns", versions.COREDNS, ("github.com/coredns/coredns",))
CNI_PLUGINS = Component(
    "cni-plugins",
    "github.com/containernetworking/plugins",
    versions.CNI_PLUGINS,
    tuple(
        "github.com/containernetworking/plugins/plugins/" + name
        for name in (
            "main/bridge",
            "main/host-device",
            "main/ipvlan",
            "main/loopback",
            "main/macvlan",
            "main/ptp",
            "main/tap",
            "main/vlan",
            "ipam/dhcp",
            "ipam/host-local",
            "ipam/static",
            "meta/bandwidth",
            "meta/firewall",
            "meta/portmap",
            "meta/sbr",
            "meta/tuning",
            "meta/vrf",
        )
    ),
)
CNITOOL = Component(
    "cnitool", "github.com/containernetworking/cni", versions.LIBCNI, ("github.com/containernetworking/cni/cnitool",)
)
CERT_MANAGER = Component(
    "cert-manager",
    "github.com/cert-manager/cert-manager",
    versions.CERT_MANAGER,
    tuple("github.com/cert-manager/cert-manager/cmd/" + name for name in ("cainjector", "controller", "webhook")),
)
KIND = Component("kind", "sigs.k8s.io/kind", versions.KIND, ("sigs.k8s.io/kind",))

CLUSTER = (KIND, CONTAINERD, ETCD, CNI_PLUGINS, COREDNS, KUBERNETES)


def build(component: Component) -> pathlib.Path:
    """The directory with a component's programs; built if this version was not built before."""

    def make(target: pathlib.Path) -> None:
        with progress.step(f"building {component.name} {component.version} from its Go module"):
            _build(component, target)

    return paths.once(component.key, make)


def build_all() -> None:
    """Builds whatever a cluster needs and the cache lacks."""
    for component in CLUSTER:
        build(component)


def available() -> bool:
    """Whether a cluster's programs are there or can be built."""
    return shutil.which("go") is not None or all((paths.cache() / one.key).exists() for one in CLUSTER)


def module_directory(component: Component) -> pathlib.Path:
    """Where the module's own files lie (kind's node image files, for one)."""
    return pathlib.Path(_download(component)["Dir"])


def _build(component: Component, target: pathlib.Path) -> None:
    if shutil.which("go") is None:
        raise errors.MissingError(f"cannot build {component.name}: there is no Go toolchain (package golang)")
    work = target / "module"
    work.mkdir()
    (work / "go.mod").write_text(_go_mod(component))
    if component.main:
        (work / "main.go").write_text(component.main)
    requests = [component.module] if component.main else list(component.packages)
    # `go get` resolves what these mains need and nothing else; the module graph's other tests and tools stay out.
    _go("get", *(f"{name}@v{component.version}" for name in requests), cwd=work)
    if component.main:
        _go("mod", "tidy", cwd=work)
    flags = ("-trimpath", "-ldflags", f"-s -w {component.ldflags}".strip())
    _go("build", *flags, "-o", f"{target}/", *component.packages, cwd=work)
    shutil.rmtree(work)


def _go_mod(component: Component) -> str:
    lines = [f"module podnet.local/{component.name}", "", f"go {_go_directive(component)}", ""]
    lines += [f"replace {path} => {path} {version}" for path, version in _staging(component).items()]
    return "\n".join(lines) + "\n"


def _go_directive(component: Component) -> str:
    return str(_described(component)["Go"])


def _staging(component: Component) -> dict[str, str]:
    """Modules that the real go.mod takes from a folder beside it: here the version published with it."""
    published = "v0." + component.version.split(".", 1)[1]
    return {
        replace["Old"]["Path"]: published
        for replace in _described(component).get("Replace") or []
        if replace["New"]["Path"].startswith("./staging/")
    }


def _described(component: Component) -> dict[str, Any]:
    return dict(json.loads(_go("mod", "edit", "-json", _download(component)["GoMod"])))


def _download(component: Component) -> dict[str, str]:
    return dict(json.loads(_go("mod", "download", "-json", f"{component.module}@v{component.version}")))


def _go(*argv: str, cwd: pathlib.Path | None = None) -> str:
    # A user's GOFLAGS or workspace must not leak into what the cache shares between checkouts.
    env = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    return command.run("go", *argv, env=env, cwd=cwd or pathlib.Path(os.path.expanduser("~")))


def main() -> None:
    """Builds everything, as `cluster-up` does when nothing can be pulled."""
    build_all()


if __name__ == "__main__":
    main()
