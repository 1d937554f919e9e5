"""The images of podnet: `python -m podnet_hack.image build|load --cluster NAME`.

One image has all programs; a second, small one is for Pods of tests and the demo. An engine that can have Debian's
base image builds both from images/Dockerfile. Else the same content is put together here in layers: Debian packages,
wheels of the locked dependencies, and the project itself, so that a change of the source makes a layer of kilobytes;
nodes are sent only the layers they lack.
"""

import argparse
import concurrent.futures
import configparser
import hashlib
import os
import pathlib
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence

from podnet_hack import command, debian, errors, oci, paths, progress, shim
from podnet_hack.localcluster import cluster, engine, versions

PROGRAMS = "podnet.local/podnet:dev"
TEST = "podnet.local/test:dev"

BASE_OF_DOCKERFILE = "debian:trixie-slim"
DOCKERFILE = paths.CHECKOUT / "hack/images/Dockerfile"
ROOMS = ("api", "kni-server", "scheduler-extender", "compat")

PROGRAMS_PACKAGES = ("base-files", "ca-certificates", "coreutils", "iproute2", "libstdc++6", "nftables", "python3")
TEST_PACKAGES = (
    *("base-files", "coreutils", "dash", "ethtool", "grep", "iperf3", "iproute2", "iputils-ping", "netcat-openbsd"),
    *("procps", "python3", "sed"),
)
UV = os.environ.get("UV", "uv")  # set by `uv run`
PYTHON = "3.13"
# Where Debian's Python looks by itself.
SITE = f"usr/local/lib/python{PYTHON}/dist-packages"

# Unpacked packages have not run the scripts that would write these.
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
GROUP = "root:x:0:\nnogroup:x:65534:\n"


def build() -> list[oci.Image] | None:
    """Builds both images; None if they are in the user's engine rather than here."""
    where = engine.find_existing()
    if where and not where.ours and _has_base(where):
        _build_with(where)
        return None
    return [programs_image(), test_image()]


def load(name: str) -> str:
    """Brings the images to all nodes of a cluster; what it returns changes when the programs' image does."""
    images = build()
    where = engine.find_existing()
    if where is None:
        raise errors.NotReadyError(f"cannot load images into the cluster {name}: it is not up")
    with progress.step(f"loading the images into the cluster {name}"):
        if images is None:
            cluster.kind(where, "load", "docker-image", "--name", name, PROGRAMS, TEST)
            return where.run("image", "inspect", "--format", "{{.Id}}", PROGRAMS).strip()
        _load_each_node(where, name, images)
    return images[0].manifest.digest


def programs_image() -> oci.Image:
    """The image with all programs, made from Debian packages and wheels."""
    base = _base("programs", PROGRAMS_PACKAGES)
    layers = [oci.blob(base / "layer.tar"), _dependencies(base), *_shim(), _project(base)]
    return oci.image(PROGRAMS, layers)


def base_tree() -> pathlib.Path:
    """The Debian packages of the image with all programs, unpacked: its Python is the one that ships."""
    return _base("programs", PROGRAMS_PACKAGES) / "tree"


def test_image() -> oci.Image:
    """The image of Pods in tests and the demo."""
    base = _base("test", TEST_PACKAGES)
    return oci.image(TEST, [oci.blob(base / "layer.tar")], command=["sleep", "infinity"])


def wheels(target: pathlib.Path) -> list[pathlib.Path]:
    """The project's own wheels."""
    for room in ROOMS:
        command.run(
            "uv", "build", "--wheel", "--quiet", "--out-dir", target, f"--package=podnet-{room}", cwd=paths.CHECKOUT
        )
    return sorted(target.glob("*.whl"))


def requirements() -> str:
    """What the programs depend on, exactly as locked."""
    names = [f"--package=podnet-{room}" for room in ROOMS]
    flags = ("--frozen", "--no-dev", "--no-emit-workspace", "--no-hashes", "--no-annotate", "--no-header", "--quiet")
    return command.run(UV, "export", *flags, *names, cwd=paths.CHECKOUT)


def _base(name: str, packages: Sequence[str]) -> pathlib.Path:
    """The directory with the layer of Debian packages, and the tree that it was made from."""
    suite = versions.IMAGE_SUITE
    unpacked = debian.file_system(name, suite, "extract", packages)

    def make(target: pathlib.Path) -> None:
        with progress.step(f"making the base layer of the {name} image"):
            tree = target / "tree"
            command.run("cp", "--archive", "--reflink=auto", unpacked, tree)
            _finish_base(tree)
            oci.layer_of_tree(target / "layer.tar", tree)

    # Whoever changes how it is made changes this file.
    recipe = _digest(pathlib.Path(__file__).read_text())
    return paths.once(f"image/{unpacked.parent.name}-{recipe}", make)


def _finish_base(tree: pathlib.Path) -> None:
    (tree / "etc/passwd").write_text(PASSWD)
    (tree / "etc/group").write_text(GROUP)
    for name in ("root", "tmp", "run", "proc", "sys", "dev"):
        (tree / name).mkdir(exist_ok=True)
    (tree / "tmp").chmod(0o1777)
    _as_link(tree / "var/run", "../run")
    authorities = sorted((tree / "usr/share/ca-certificates").rglob("*.crt"))
    if authorities:
        (tree / "etc/ssl/certs").mkdir(parents=True, exist_ok=True)
        bundle = "".join(path.read_text() for path in authorities)
        (tree / "etc/ssl/certs/ca-certificates.crt").write_text(bundle)
    _compile(tree, tree / f"usr/lib/python{PYTHON}", f"/usr/lib/python{PYTHON}")


def _as_link(path: pathlib.Path, target: str) -> None:
    """Runtimes name sockets and namespaces by /var/run, which Debian makes a link when it is installed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    if not path.is_symlink():
        path.symlink_to(target)


def _dependencies(base: pathlib.Path) -> oci.Blob:
    """The layer of everything that the programs import and that is not ours."""
    locked = requirements()

    def make(target: pathlib.Path) -> None:
        with progress.step("making the layer of the programs' dependencies"):
            listed = target / "requirements.txt"
            listed.write_text(locked)
            _install(base, target, ["--requirements", str(listed)])

    return oci.blob(paths.once(f"image/dependencies-{_digest(locked, base.name)}", make) / "layer.tar")


def _shim() -> list[oci.Blob]:
    """The layer with the CNI shim. It is opt-in: where there is no Go, the image has none."""
    if shutil.which("go") is None:
        return []
    program = shim.build()

    def make(target: pathlib.Path) -> None:
        tree = target / "tree"
        (tree / "usr/local/bin").mkdir(parents=True)
        shutil.copy2(program, tree / "usr/local/bin" / shim.PROGRAM)
        oci.layer_of_tree(target / "layer.tar", tree)
        shutil.rmtree(tree)

    return [oci.blob(paths.once(f"image/{program.parent.name}", make) / "layer.tar")]


def _project(base: pathlib.Path) -> oci.Blob:
    """The layer of our own packages and their console scripts; it lives in the checkout that it is made from."""
    made = paths.BUILD / "image"
    with paths.locked(f"image-{_digest(str(made))}"):
        target = made / _sources_digest(base.name)
        if not target.exists():
            with progress.step("making the layer of the project"):
                _make_project(base, target)
        _keep_newest(made)
        return oci.blob(target / "layer.tar")


def _make_project(base: pathlib.Path, target: pathlib.Path) -> None:
    partial = target.with_name("partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    _install(base, partial, [str(path) for path in wheels(partial / "wheels")])
    partial.rename(target)


def _keep_newest(made: pathlib.Path, count: int = 4) -> None:
    """Removes old layers; some stay, because another run may be sending one to its nodes."""
    newest_first = sorted(made.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest_first[count:]:
        shutil.rmtree(path)


def _install(base: pathlib.Path, target: pathlib.Path, what: list[str]) -> None:
    """Packs wheels, installed and compiled for the image's Python, as target/layer.tar."""
    tree = target / "tree"
    _unpack_wheels(tree, what)
    _compile(base / "tree", tree / SITE, "/" + SITE)
    oci.layer_of_tree(target / "layer.tar", tree)
    shutil.rmtree(tree)


def _unpack_wheels(tree: pathlib.Path, what: list[str]) -> None:
    """Installs wheels for the image's Python into a tree that is laid over the image's."""
    flags = ("--no-deps", "--only-binary=:all:", f"--python-version={PYTHON}", f"--python-platform={_platform()}")
    command.run(UV, "pip", "install", "--quiet", *flags, "--target", tree / SITE, *what)
    shutil.rmtree(tree / SITE / "bin", ignore_errors=True)
    (tree / SITE / ".lock").unlink(missing_ok=True)
    _write_scripts(tree)


def _write_scripts(tree: pathlib.Path) -> None:
    """Console scripts for the image's Python; uv writes them for this machine's."""
    for entry_points in sorted((tree / SITE).glob("podnet*.dist-info/entry_points.txt")):
        parser = configparser.ConfigParser()
        parser.read(entry_points)
        for name, entry in parser.items("console_scripts") if "console_scripts" in parser else ():
            module, function = entry.split(":")
            script = tree / "usr/local/bin" / name
            script.parent.mkdir(parents=True, exist_ok=True)
            script.write_text(
                f"#!/usr/bin/python3\nimport sys\n\nfrom {module} import {function}\n\nsys.exit({function}())\n"
            )
            script.chmod(0o755)


def _compile(base: pathlib.Path, sources: pathlib.Path, name_in_image: str) -> None:
    """Compiles to bytecode with the image's own Python, so that a program in a read-only container starts quickly."""
    loader = next(base.glob("usr/lib*/ld-linux-*.so.*"))
    libraries = f"{base}/usr/lib/{platform.machine()}-linux-gnu"
    python = (loader, "--library-path", libraries, base / f"usr/bin/python{PYTHON}")
    # The time of a file in a layer is 0: a bytecode file must not be compared with it.
    flags = ("-q", "--invalidation-mode=unchecked-hash", "-s", sources, "-p", name_in_image)
    command.run(*python, "-m", "compileall", *flags, sources, env={"PYTHONHOME": str(base / "usr")})


def _platform() -> str:
    return f"{platform.machine()}-manylinux_2_40"


def _sources_digest(*more: str) -> str:
    digest = hashlib.sha256(_digest(*more, pathlib.Path(__file__).read_text()).encode())
    for room in ROOMS:
        for path in sorted((paths.CHECKOUT / room).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def _has_base(where: engine.Engine) -> bool:
    return where.succeeds("image", "inspect", BASE_OF_DOCKERFILE) or where.succeeds("pull", BASE_OF_DOCKERFILE)


def _build_with(where: engine.Engine) -> None:
    with tempfile.TemporaryDirectory(prefix="podnet-image-") as place, progress.step("building the images"):
        context = pathlib.Path(place)
        listed = context / "requirements.txt"
        listed.write_text(requirements())
        ours = [str(path) for path in wheels(context / "wheels")]
        _unpack_wheels(context / "tree", ["--requirements", str(listed), *ours])
        if shutil.which("go") is not None:
            shutil.copy2(shim.build(), context / "tree/usr/local/bin")
        for target, name in (("programs", PROGRAMS), ("test", TEST)):
            where.run("build", "--file", DOCKERFILE, "--target", target, "--tag", name, context)


def _load_each_node(where: engine.Engine, name: str, images: Sequence[oci.Image]) -> None:
    found = cluster.nodes(where, name)
    if not found:
        raise errors.NotReadyError(f"cannot load images into the cluster {name}: no node of it runs")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for result in [pool.submit(_load_node, where, node, images) for node in found]:
            result.result()


def _load_node(where: engine.Engine, node: str, images: Sequence[oci.Image]) -> None:
    known = where.run("exec", node, "ctr", "--namespace=k8s.io", "images", "list")
    missing = [one for one in images if f"{one.reference} " not in known or one.manifest.digest not in known]
    if not missing:
        return
    present = where.run("exec", node, "ctr", "--namespace=k8s.io", "content", "list", "--quiet").split()
    # A name of its own for the index: the next load replaces it, and what only the old one held can be collected.
    index = ("--index-name", "podnet.local/loaded:dev")
    importing = ("exec", "--interactive", node, "ctr", "--namespace=k8s.io", "images", "import", *index, "-")
    with tempfile.TemporaryFile() as archive:
        oci.write(archive, missing, without=present)
        archive.seek(0)
        where.run(*importing, stdin=archive)


def main(argv: list[str]) -> None:
    """The program."""
    parser = argparse.ArgumentParser(prog="image", description=__doc__)
    parser.add_argument("action", choices=("build", "load"))
    parser.add_argument("--cluster", default="podnet")
    given = parser.parse_args(argv)
    if given.action == "load":
        load(given.cluster)
        return
    for one in build() or []:
        print(f"{one.reference}  {one.manifest.digest}  {sum(part.size for part in one.blobs) / 1e6:.0f} MB")


if __name__ == "__main__":
    sys.exit(errors.reported(lambda: main(sys.argv[1:])))
