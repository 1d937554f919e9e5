"""Debian packages that are used without being installed on this machine: whole file systems, single programs."""

import hashlib
import pathlib
import shutil
import tempfile
from collections.abc import Sequence

from podnet_hack import command, errors, packages, paths, progress

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def mirror() -> str:
    """The Debian mirror that this machine's own apt uses, for other suites than the machine's."""
    fields = ("Identifier: Packages", "Origin: Debian", "Label: Debian")
    lines = command.run("apt-get", "indextargets", "--format", "$(REPO_URI)", *fields).split()
    if not lines:
        packages_lists = "apt knows no Debian mirror: check its sources and run apt-get update"
        raise errors.MissingError(f"cannot fetch Debian packages: {packages_lists}")
    return lines[0]


def source(suite: str) -> str:
    """The line of a sources.list for a suite."""
    return f"deb [signed-by={KEYRING}] {mirror()} {suite} main"


def file_system(name: str, suite: str, variant: str, names: Sequence[str]) -> pathlib.Path:
    """The cached directory with a file system of these packages; `name` says what it is for."""

    def make(target: pathlib.Path) -> None:
        with progress.step(f"unpacking Debian {suite} for {name}"):
            bootstrap(suite, variant, names, target / "tree")
            slim(target / "tree")

    digest = hashlib.sha256(" ".join([variant, *names]).encode()).hexdigest()[:12]
    return paths.once(f"{name}-{suite}-{digest}", make) / "tree"


def bootstrap(suite: str, variant: str, names: Sequence[str], target: pathlib.Path) -> None:
    """Puts a file system of these packages into the directory `target`.

    Variant "minbase" configures the packages; "extract" only unpacks them, which takes seconds.
    """
    packages.ensure("mmdebstrap")
    include = "--include=" + ",".join(names)
    quiet = ("--quiet", "--format=directory", f"--variant={variant}", include)
    command.run("mmdebstrap", *quiet, suite, target, source(suite))


def unpack(suite: str, names: Sequence[str], target: pathlib.Path) -> None:
    """Unpacks single packages, without what they depend on, into the directory `target`."""
    packages.ensure("apt-get", "dpkg-deb")
    with tempfile.TemporaryDirectory(prefix="podnet-apt-") as place:
        state = pathlib.Path(place)
        options = _private_apt(state, suite)
        downloads = state / "downloads"
        downloads.mkdir()
        command.run("apt-get", *options, "update")
        command.run("apt-get", *options, "download", *names, cwd=downloads)
        for package in sorted(downloads.glob("*.deb")):
            command.run("dpkg-deb", "--extract", package, target)


def _private_apt(state: pathlib.Path, suite: str) -> list[str]:
    """Options that make apt read and write under `state` only: the machine's own lists stay as they are."""
    for name in ("lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True)
    (state / "sources.list").write_text(source(suite) + "\n")
    (state / "status").touch()
    settings = {
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::Etc::preferences": "-",
        "Dir::Etc::preferencesparts": "-",
        "Dir::State::lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        # apt's own unprivileged user cannot write below a directory that only we may enter.
        "APT::Sandbox::User": "root",
        "quiet": "1",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def slim(tree: pathlib.Path) -> None:
    """Removes what no program reads at run time."""
    for name in ("doc", "man", "locale", "info", "lintian", "bug"):
        shutil.rmtree(tree / "usr/share" / name, ignore_errors=True)
