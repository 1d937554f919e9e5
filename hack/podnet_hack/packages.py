"""Makes sure that the machine has the programs a target needs: installs Debian packages, or names what is missing."""

import os
import pathlib
import shutil
import sys

from podnet_hack import command, errors, progress

PACKAGE_OF = {
    "apt-get": "apt",
    "cc": "gcc libc6-dev",
    "dpkg-deb": "dpkg",
    "go": "golang",
    "ip": "iproute2",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "modprobe": "kmod",
    "nft": "nftables",
    "setpriv": "util-linux",
    "tar": "tar",
}
# Debian's own Go is too old for today's Kubernetes, and a user's choice of toolchain is theirs.
NOT_INSTALLED_BY_US = ("go",)


def ensure(*programs: str) -> None:
    """Installs the Debian packages of the programs that are missing, or says exactly what to install."""
    missing = [name for name in programs if shutil.which(name) is None]
    if not missing:
        return
    installable = [name for name in missing if name not in NOT_INSTALLED_BY_US]
    if len(installable) < len(missing) or not can_install():
        raise errors.MissingError(f"cannot go on without {_named(missing)}: install what is named")
    install(*" ".join(PACKAGE_OF[name] for name in installable).split())


def can_install() -> bool:
    """Whether we may install Debian packages here: root, and apt."""
    return os.geteuid() == 0 and pathlib.Path("/etc/debian_version").exists() and shutil.which("apt-get") is not None


def install(*names: str) -> None:
    """Installs Debian packages; package lists that are missing or old are fetched first."""
    with progress.step(f"installing the Debian packages {' '.join(names)}"):
        if not _install(names):
            command.run("apt-get", "update", "--quiet")
            if not _install(names):
                raise errors.MissingError(f"cannot install the Debian packages {' '.join(names)}: see apt-get install")


def _install(names: tuple[str, ...]) -> bool:
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    return command.succeeds("apt-get", "install", "--yes", "--no-install-recommends", *names, env=quiet)


def _named(programs: list[str]) -> str:
    return ", ".join(f"{name} (Debian package {PACKAGE_OF[name]})" for name in programs)


if __name__ == "__main__":
    sys.exit(errors.reported(lambda: ensure(*sys.argv[1:])))
