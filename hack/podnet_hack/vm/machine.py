"""What the VM is made of: Debian's kernel and QEMU, used without being installed, and the command line of QEMU.

The root file system is the machine's own, read-only over 9p, with an overlay in memory over it. Two emulated Intel
82576 cards (QEMU's igb) hang on one switch, so that frames cross between their virtual functions.
"""

import dataclasses
import pathlib
import platform

from podnet_hack import command, debian, errors, packages, paths, progress

SUITE = "trixie"  # QEMU 10 (igb exists since 8) and kernel 6.12, which has every link kind but netdevsim
PACKAGES = ("linux-image-amd64", "qemu-system-x86", "seabios", "ipxe-qemu", "busybox-static")
MEMORY = "2G"
CARDS = 2
_TREE = "vm"


def fits() -> bool:
    """Whether the VM can run this machine's own files, whoever runs it."""
    return platform.system() == "Linux" and platform.machine() == "x86_64"


def missing() -> str:
    """Why this machine cannot run the VM; empty when it can."""
    if not fits():
        return "needs Linux on x86-64"
    if not packages.can_install():
        return "needs root on Debian, to fetch QEMU and a kernel"
    return ""


@dataclasses.dataclass(frozen=True)
class Machine:
    """The parts of the VM, unpacked in the cache."""

    tree: pathlib.Path
    release: str
    """Of the kernel, as uname -r says it."""

    @property
    def kernel(self) -> pathlib.Path:
        """The image that QEMU boots."""
        return self.tree / "boot" / f"vmlinuz-{self.release}"

    @property
    def modules(self) -> pathlib.Path:
        """The kernel's modules, with their dependencies worked out."""
        return self.tree / "usr/lib/modules" / self.release

    @property
    def busybox(self) -> pathlib.Path:
        """A static program that mounts and loads modules before there is a root file system."""
        return self.tree / "usr/bin/busybox"


def fetch() -> Machine:
    """The machine, fetched the first time. Raises MissingError where it cannot be had."""
    if reason := missing():
        raise errors.MissingError(f"cannot run the VM: {reason}")
    tree = debian.file_system(_TREE, SUITE, "extract", PACKAGES)
    releases = sorted((tree / "usr/lib/modules").iterdir())
    if not releases:
        raise errors.MissingError(f"cannot run the VM: {tree} holds no kernel")
    machine = Machine(tree, releases[-1].name)
    with paths.locked(_TREE):
        _work_out_dependencies(machine)
    return machine


def _work_out_dependencies(machine: Machine) -> None:
    """What the package's own installation would have done. Written under another name first: it may be killed."""
    made = machine.modules / "podnet.depmod"
    if made.exists():
        return
    packages.ensure("modprobe")
    with progress.step("working out the dependencies of the VM's modules"):
        command.run("/sbin/depmod", "--basedir", machine.tree / "usr", machine.release, timeout=120)
    made.touch()


def arguments(machine: Machine, initramfs: pathlib.Path, share: pathlib.Path, console: pathlib.Path) -> list[str]:
    """QEMU's command line; `share` is the one directory that the VM may write, `console` a file of its output."""
    return [
        *_program(machine.tree),
        *("-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", MEMORY),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-kernel", str(machine.kernel), "-initrd", str(initramfs)),
        # A panic reboots, and -no-reboot makes that the end of QEMU.
        # vfio-pci takes a function only behind an IOMMU; everything else goes past it.
        *("-device", "intel-iommu"),
        *("-append", "console=ttyS0 loglevel=4 panic=-1 mitigations=off intel_iommu=on iommu=pt"),
        *("-chardev", f"file,id=console,path={console},append=on", "-serial", "chardev:console"),
        *_directory("root", pathlib.Path("/"), "readonly=on,multidevs=remap"),
        *_directory("share", share, "multidevs=remap"),
        *("-device", "virtio-rng-pci", "-device", "virtio-serial-pci", "-chardev", "file,id=out,path=/dev/stdout"),
        *("-device", "virtserialport,chardev=out,name=out"),
        *(word for number in range(CARDS) for word in _card(number)),
    ]


def _program(tree: pathlib.Path) -> list[str]:
    """QEMU with the loader and libraries of its own release."""
    libraries = tree / "usr/lib/x86_64-linux-gnu"
    data = [word for name in ("qemu", "seabios") for word in ("-L", str(tree / "usr/share" / name))]
    program = [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries)]
    return [*program, str(tree / "usr/bin/qemu-system-x86_64"), *data, "-L", str(tree / "usr/lib/ipxe/qemu")]


def _directory(tag: str, path: pathlib.Path, options: str) -> list[str]:
    shared = f"local,id={tag},path={path},security_model=none,{options}"
    return ["-fsdev", shared, "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]


def _card(number: int) -> list[str]:
    """A card behind a port of its own, as virtual functions need it, on the one switch (hub 0)."""
    port = f"pcie-root-port,id=port{number},chassis={number + 1}"
    card = f"igb,bus=port{number},netdev=wire{number},mac=52:54:00:00:00:{number + 1:02x}"
    return ["-device", port, "-netdev", f"hubport,id=wire{number},hubid=0", "-device", card]
