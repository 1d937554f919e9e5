"""Builds the CNI shim (kni-server/shim): one static program, of Go's standard library alone. For image and tests."""

import hashlib
import pathlib
import shutil

from podnet_hack import command, errors, paths, progress

SOURCES = paths.CHECKOUT / "kni-server/shim"
PROGRAM = "podnet-cni"


def build() -> pathlib.Path:
    """The program; built once for each state of its sources. Raises MissingError where there is no Go."""
    files = sorted((*SOURCES.glob("*.go"), SOURCES / "go.mod"))
    key = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:12]
    return paths.once(f"shim-{key}", _make) / PROGRAM


def _make(target: pathlib.Path) -> None:
    if shutil.which("go") is None:
        raise errors.MissingError("cannot build the CNI shim: there is no Go toolchain (package golang)")
    # A workspace or flags of the user's must not leak into what the cache shares.
    env = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOWORK": "off", "GOTOOLCHAIN": "local"}
    with progress.step("building the CNI shim"):
        command.run("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", target / PROGRAM, ".", env=env, cwd=SOURCES)
