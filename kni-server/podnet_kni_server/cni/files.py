"""The configuration files of a node (`--cni-conf-dir`). Small files, read when a network names one of them."""

import logging
from pathlib import Path

from podnet_kni_server.cni import config
from podnet_kni_server.cni.config import File, Network

log = logging.getLogger(__name__)


def load(directory: Path, text: str, name: str) -> tuple[Network, str, dict[str, str]]:
    """The network that `text` configures, or, where it names no plugin, the one of its name (else `name`) among
    the node's files; its text and those of the plugins in the folder with its name. Raises ConfigError."""
    wanted = config.reference(text, name)
    if wanted is None:
        return config.parse(text, name), text, {}
    name = wanted
    text = config.select(every(directory), name)
    # A list may have all its plugins in the folder, so it is parsed with them at once.
    folder = every(directory / name) if "/" not in name else []
    network = config.parse(text, name, folder)
    if network.only_inlined:
        return config.parse(text, name), text, {}
    return network, text, {file.name: file.text for file in folder}


def every(directory: Path) -> list[File]:
    try:
        paths = [path for path in sorted(directory.iterdir()) if path.suffix in config.FILE_SUFFIXES and path.is_file()]
    except OSError:
        return []
    return [file for path in paths if (file := _file(path))]


def _file(path: Path) -> File | None:
    try:
        return File(path.name, path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        log.info("passed over %s: %s", path, error)
        return None
