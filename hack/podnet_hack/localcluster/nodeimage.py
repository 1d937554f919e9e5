"""Makes what kindest/node is, for an engine that cannot pull it.

A Debian file system, the files that kind's module carries for its own base image, the programs built from their Go
modules, and the control plane's images preloaded into the containerd that will run in the node.
"""

import hashlib
import json
import pathlib
import shutil
import subprocess
import tempfile
import time

from podnet_hack import command, debian, errors, oci, packages, paths, progress
from podnet_hack.localcluster import components, versions
from podnet_hack.localcluster.engine import Engine

FILES = pathlib.Path(__file__).parent / "node"
VERSION = f"v{versions.KUBERNETES}"
PAUSE = "registry.k8s.io/pause:3.10"  # what kind's containerd configuration names
NODE = "podnet.local/node"
DEFAULT_CNI = "podnet.local/default-cni:local"

NODE_PACKAGES = (
    *("systemd", "dbus", "conntrack", "iptables", "nftables", "iproute2", "ethtool", "util-linux", "mount", "kmod"),
    *("libseccomp2", "pigz", "bash", "ca-certificates", "curl", "jq", "procps", "socat", "runc"),
)
# For the two programs of the control plane that call others: kube-proxy, and the default network's script.
TOOL_PACKAGES = ("base-files", "dash", "coreutils", "conntrack", "iptables", "nftables", "iproute2", "kmod")


def ensure(engine: Engine) -> str:
    """The name of a node image that the engine has."""
    if engine.succeeds("image", "inspect", versions.KINDEST_NODE) or _pulled(engine):
        return versions.KINDEST_NODE
    return built(engine)


def built(engine: Engine) -> str:
    """Makes the image and gives it to the engine, unless it has it."""
    name = f"{NODE}:{VERSION}-{_recipe()}"
    with paths.locked("nodeimage"):
        if not engine.succeeds("image", "inspect", name):
            _check_that_we_can()
            for component in components.CLUSTER:
                components.build(component)
            with progress.step("putting a node image together"):
                _build(engine, name)
            _forget_others(engine, name)
    return name


def _forget_others(engine: Engine, name: str) -> None:
    """Removes images of older recipes; one that a cluster still uses stays."""
    known = engine.run("images", "--filter", f"reference={NODE}", "--format", "{{.Repository}}:{{.Tag}}").split()
    for old in set(known) - {name}:
        engine.succeeds("rmi", old)


def _pulled(engine: Engine) -> bool:
    # An engine of ours exists only where no registry is expected; asking one would cost its timeouts.
    if engine.ours:
        return False
    with progress.step(f"pulling {versions.KINDEST_NODE.split('@')[0]}"):
        return engine.succeeds("pull", versions.KINDEST_NODE)


def _check_that_we_can() -> None:
    if not packages.can_install():
        raise errors.MissingError(
            f"cannot have a node image: {versions.KINDEST_NODE} cannot be pulled, and making one needs root on Debian"
        )
    packages.ensure("go", "mmdebstrap", "tar", "cc")


def _recipe() -> str:
    """A digest of all that the image is made from."""
    digest = hashlib.sha256()
    for path in sorted([*FILES.iterdir(), pathlib.Path(__file__), pathlib.Path(versions.__file__)]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _build(engine: Engine, name: str) -> None:
    system = debian.file_system("nodefs", versions.NODE_SUITE, "minbase", NODE_PACKAGES)
    with tempfile.TemporaryDirectory(prefix="node-", dir=paths.cache()) as place:
        tree = pathlib.Path(place) / "tree"
        command.run("cp", "--archive", "--reflink=auto", system, tree)
        _add_kind_files(tree)
        _add_programs(tree)
        _configure(tree)
        _preload(tree, pathlib.Path(place))
        _import(engine, tree, name)


def _add_kind_files(tree: pathlib.Path) -> None:
    files = components.module_directory(components.KIND) / "images/base/files"
    for path in sorted(files.rglob("*")):
        target = tree / path.relative_to(files)
        if path.is_dir():
            target.mkdir(exist_ok=True, parents=True)
            continue
        shutil.copyfile(path, target)
        target.chmod(0o755 if "bin" in path.parts else 0o644)


def _add_programs(tree: pathlib.Path) -> None:
    kubernetes = components.build(components.KUBERNETES)
    for name in ("kubeadm", "kubectl", "kubelet"):
        shutil.copy2(kubernetes / name, tree / "usr/bin" / name)
    for path in components.build(components.CONTAINERD).iterdir():
        shutil.copy2(path, tree / "usr/local/bin" / path.name)
    shutil.copytree(components.build(components.CNI_PLUGINS), tree / "opt/cni/bin")
    manifests = tree / "kind/manifests"
    manifests.mkdir()
    shutil.copy2(FILES / "default-cni.yaml", manifests / "default-cni.yaml")
    shutil.copy2(FILES / "storage.yaml", manifests / "default-storage.yaml")
    (tree / "kind/version").write_text(VERSION)


def _configure(tree: pathlib.Path) -> None:
    """What the Dockerfile of kind's base image does in its RUN lines."""
    (tree / "etc/kubernetes/manifests").mkdir(parents=True)
    for pattern in (
        "lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service",
        "lib/systemd/system/multi-user.target.wants/*",
        "lib/systemd/system/local-fs.target.wants/*",
        "lib/systemd/system/sockets.target.wants/*udev*",
        "lib/systemd/system/sockets.target.wants/*initctl*",
        "lib/systemd/system/basic.target.wants/*",
        "etc/systemd/system/*.wants/*",
    ):
        for path in tree.glob(pattern):
            path.unlink()
    with (tree / "etc/systemd/journald.conf").open("a") as file:
        file.write("ReadKMsg=no\n")
    (tree / "sbin/init").symlink_to("/usr/lib/systemd/systemd")
    services = ("kubelet.service", "containerd.service", "undo-mount-hacks.service")
    command.run("chroot", tree, "systemctl", "enable", *services)
    command.run("chroot", tree, "systemctl", "mask", "systemd-binfmt.service")
    spec = json.loads(command.run(tree / "usr/local/bin/ctr", "oci", "spec"))
    # Containers inherit containerd's limits, as they do on a real node.
    del spec["process"]["rlimits"]
    (tree / "etc/containerd/cri-base.json").write_text(json.dumps(spec))


def _preload(tree: pathlib.Path, place: pathlib.Path) -> None:
    archive = place / "images.tar"
    with archive.open("wb") as file:
        oci.write(file, _images(place))
    _import_into_containerd(tree, place, archive)
    archive.unlink()


def _images(place: pathlib.Path) -> list[oci.Image]:
    """The images that kubeadm asks for, each FROM scratch and of one program."""
    kubernetes = components.build(components.KUBERNETES)
    tools = _tools_layer(place)
    etcd = components.build(components.ETCD) / "etcd"
    coredns = components.build(components.COREDNS) / "coredns"
    found = []
    listed = command.run(kubernetes / "kubeadm", "config", "images", "list", f"--kubernetes-version={VERSION}")
    for reference in listed.split():
        program = reference.rpartition("/")[2].partition(":")[0]
        if program == "pause":
            continue
        source = {"etcd": etcd, "coredns": coredns}.get(program, kubernetes / program)
        path = "coredns" if program == "coredns" else f"usr/local/bin/{program}"
        layer = oci.layer_of_files(place / f"{program}.tar", {path: source})
        base = [tools] if program == "kube-proxy" else []
        found.append(oci.image(reference, [*base, layer], entrypoint=["/coredns"] if program == "coredns" else []))
    return [*found, pause(place), _default_cni(place, tools)]


def pause(place: pathlib.Path) -> oci.Image:
    """The program that holds a Pod's namespaces."""
    program = place / "pause"
    command.run("cc", "-Os", "-static", "-s", "-o", program, FILES / "pause.c")
    return oci.image(PAUSE, [oci.layer_of_files(place / "pause.tar", {"pause": program})], entrypoint=["/pause"])


def _default_cni(place: pathlib.Path, tools: oci.Blob) -> oci.Image:
    script = place / "default-cni"
    shutil.copyfile(FILES / "default-cni.sh", script)
    script.chmod(0o755)
    layer = oci.layer_of_files(place / "default-cni.tar", {"usr/local/bin/default-cni": script})
    return oci.image(DEFAULT_CNI, [tools, layer], entrypoint=["/usr/local/bin/default-cni"])


def _tools_layer(place: pathlib.Path) -> oci.Blob:
    tree = debian.file_system("tools", versions.NODE_SUITE, "extract", TOOL_PACKAGES)
    copy = place / "tools"
    command.run("cp", "--archive", "--reflink=auto", tree, copy)
    # Unpacked packages have not run their scripts: these are the alternatives that they would have chosen.
    for name in ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"):
        link = copy / "usr/sbin" / name
        if not link.is_symlink():
            link.symlink_to("xtables-nft-multi")
    return oci.layer_of_tree(place / "tools.tar", copy)


def _import_into_containerd(tree: pathlib.Path, place: pathlib.Path, archive: pathlib.Path) -> None:
    """Runs a containerd whose root lies inside the tree, and gives it the archive."""
    programs = components.build(components.CONTAINERD)
    socket = place / "c.sock"
    configuration = place / "containerd.toml"
    configuration.write_text(_importer_configuration(tree, place, socket))
    containerd = subprocess.Popen(
        [programs / "containerd", "--config", configuration],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(place / "containerd.log").open("wb"),
    )
    try:
        _wait_for(socket)
        ctr = (programs / "ctr", f"--address={socket}", "--namespace=k8s.io")
        command.run(*ctr, "images", "import", "--all-platforms", "--no-unpack", "--digests", archive)
    finally:
        containerd.terminate()
        containerd.wait()


def _importer_configuration(tree: pathlib.Path, place: pathlib.Path, socket: pathlib.Path) -> str:
    unused = ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"]
    unused += ["io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt"]
    return f"""version = 3
root = "{tree}/var/lib/containerd"
state = "{place}/state"
temp = "{place}/tmp"
disabled_plugins = {json.dumps(unused)}

[grpc]
address = "{socket}"

[ttrpc]
address = "{socket}.ttrpc"
"""


def _wait_for(socket: pathlib.Path, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not socket.exists():
        if time.monotonic() > deadline:
            raise errors.NotReadyError(f"cannot preload images: containerd did not start within {seconds:.0f} s")
        time.sleep(0.05)


def _import(engine: Engine, tree: pathlib.Path, name: str) -> None:
    changes = (
        "ENV container=docker",
        "STOPSIGNAL SIGRTMIN+3",
        'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]',
    )
    flags = [word for change in changes for word in ("--change", change)]
    tar = ["tar", "--create", "--xattrs", "--xattrs-include=*", f"--directory={tree}", "."]
    with subprocess.Popen(tar, stdout=subprocess.PIPE) as packer:
        engine.run("import", *flags, "-", name, stdin=packer.stdout)
        if packer.wait() != 0:
            raise errors.CommandError(f"cannot pack the node image {name}: tar ended with {packer.returncode}")
