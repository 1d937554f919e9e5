"""Network configurations: what they say, in every version of the CNI specification. Pure.

`parse` takes one configuration or a list of plugins; `select` finds one by its name among the files of a node.
The names of keys count in any case, as they do for Go programs.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from podnet_kni_server.cni import document
from podnet_kni_server.cni.document import Object, Reader
from podnet_kni_server.cni.errors import ConfigError, RequestError

VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
"""Of the specification, oldest first."""
_UNNAMED_VERSION = "0.1.0"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")
_INTERFACE_BYTES = 15
FILE_SUFFIXES = (".conf", ".conflist", ".json")


@dataclass(frozen=True)
class Plugin:
    """One plugin of a chain. `raw` is its configuration as it was written."""

    type: str
    raw: Object
    capabilities: frozenset[str] = frozenset()
    ipam: str = ""
    """Type of the IPAM plugin that it calls."""


@dataclass(frozen=True)
class Network:
    """A network configuration; a single plugin is a list of one."""

    name: str
    version: str
    plugins: tuple[Plugin, ...]
    disable_check: bool = False
    disable_gc: bool = False
    only_inlined: bool = True
    """Whether the files of the folder with the network's name are no part of the chain."""

    @property
    def only(self) -> str:
        """The type of its plugin when it has one alone."""
        return self.plugins[0].type if len(self.plugins) == 1 else ""


@dataclass(frozen=True)
class File:
    """A configuration file of the node."""

    name: str
    text: str


def at_least(version: str, other: str) -> bool:
    """Whether `version` of the specification is `other` or newer."""
    return VERSIONS.index(version) >= VERSIONS.index(other)


def parse(text: str, default_name: str = "", folder: Iterable[File] = ()) -> Network:
    """The configuration in `text`. `default_name` is its name where it has none; `folder` are the files of the
    plugins that belong to it besides those it lists (CNI 1.1.0, loadOnlyInlinedPlugins).

    Raises ConfigError.
    """
    raw = document.decode(text, lambda message: ConfigError(f"cannot use the CNI configuration: it {message}"))
    name = Reader(raw, "", _fail("")).text("name") or default_name
    fail = _fail(name)
    reader = Reader(raw, "", fail)
    check_name(name)
    is_list = reader.get("plugins") is not None or not reader.text("type")
    entries = reader.objects("plugins") if is_list else [reader]
    extra = [Reader(document.decode(f.text, fail), f.name, fail) for f in sorted(folder, key=lambda f: f.name)]
    plugins = tuple(_plugin(entry) for entry in [*entries, *extra])
    if not plugins:
        raise fail("plugins: must name at least one plugin, or type must be set")
    return Network(
        name=name,
        version=_version(reader),
        plugins=plugins,
        disable_check=is_list and reader.flag("disableCheck"),
        disable_gc=is_list and reader.flag("disableGC"),
        only_inlined=not is_list or reader.flag("loadOnlyInlinedPlugins"),
    )


def reference(text: str, default_name: str) -> str | None:
    """The name of the node's file that `text` stands for; None when it is a configuration itself."""
    if not text.strip():
        return default_name
    reader = Reader(document.decode(text, _fail(default_name)), "", _fail(default_name))
    if reader.get("type") is not None or reader.get("plugins") is not None:
        return None
    return reader.text("name") or default_name


def _fail(name: str) -> document.Fail:
    return lambda message: ConfigError(f"cannot use the CNI configuration {name or 'without a name'}: {message}")


def _plugin(entry: Reader) -> Plugin:
    kind = entry.text("type")
    if not kind or "/" in kind or kind in {".", ".."}:
        raise entry.fail("type", f"must be the name of a plugin's program, is {kind!r}")
    declared = entry.child("capabilities")
    capabilities = frozenset(key for key in declared.value if declared.flag(key))
    ipam = entry.get("ipam")
    ipam_type = entry.child("ipam").text("type") if isinstance(ipam, dict) else ""
    if "/" in ipam_type:
        raise entry.fail("ipam.type", f"must be the name of a plugin's program, is {ipam_type!r}")
    return Plugin(kind, entry.value, capabilities, ipam_type)


def _version(reader: Reader) -> str:
    """The highest that the configuration offers and we speak."""
    offered = [text for text in (reader.text("cniVersion"), *reader.texts("cniVersions")) if text]
    known = [version for version in VERSIONS if version in offered]
    if offered and not known:
        spoken = f"the versions spoken here are {VERSIONS[0]} to {VERSIONS[-1]}"
        raise reader.fail("cniVersion", f"{', '.join(offered)} is no version of the CNI specification; {spoken}")
    return known[-1] if known else _UNNAMED_VERSION


def select(files: Iterable[File], name: str) -> str:
    """The text of the configuration whose own name is `name`, the first in the order of the files' names.

    A file that cannot be read as a configuration is passed over: it belongs to somebody else. Raises
    ConfigError when none has the name.
    """
    for file in sorted(files, key=lambda one: one.name):
        if file.name.endswith(FILE_SUFFIXES) and _name_of(file.text) == name:
            return file.text
    raise ConfigError(f"cannot find a CNI configuration with the name {name!r} on this node")


def _name_of(text: str) -> str:
    try:
        return Reader(document.decode(text, ConfigError), "", ConfigError).text("name")
    except ConfigError:
        return ""


def check_name(name: str) -> None:
    """Raises ConfigError unless `name` may be a network's (CNI 1.1.0, section 1)."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"cannot use {name!r} as the name of a CNI network: letters, digits, _ . - are allowed")


def check_container(identifier: str) -> None:
    """Raises RequestError unless this may be a container's id."""
    if not _NAME.fullmatch(identifier):
        raise RequestError(f"cannot use {identifier!r} as the id of a container: letters, digits, _ . - are allowed")


def check_interface(name: str) -> None:
    """Raises RequestError unless Linux and the specification take this name of an interface."""
    legal = 0 < len(name.encode()) <= _INTERFACE_BYTES and name not in {".", ".."}
    if not legal or any(c in "/:" or c.isspace() for c in name):
        raise RequestError(f"cannot use {name!r} as the name of an interface: 1 to 15 bytes without / : or blanks")
