"""Runs plugins: programs of the node, with CNI_* in their environment and JSON on both sides.

Nothing here blocks the loop. A plugin that is late, or whose caller went away, is killed with everything that it
started before the call returns: so a DEL never runs beside the ADD that it is to undo.
"""

import asyncio
import contextlib
import errno
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from podnet_kni_server.cni import config, document
from podnet_kni_server.cni.errors import Code, PluginError, TryLaterError

log = logging.getLogger(__name__)

SECONDS = 60.0
"""What a plugin may take unless the caller says otherwise; the runtime's own deadline is usually shorter."""
_OUTPUT_LIMIT = 4 << 20
_SAID_LIMIT = 2000
_BUSY_TRIES = 5
_BUSY_SECONDS = 0.2
_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Ended:
    """How a plugin ended."""

    status: int
    out: bytes
    said: bytes


class Runner:
    """The plugins of one node.

    `directories` is where they lie, as the node sees it. `root` is where the node's root directory is seen
    from here: plugins keep files and talk to daemons of the node, so they run with that as theirs. `launcher`
    stands before each command, e.g. to enter a network namespace that plays a node.
    """

    def __init__(self, directories: Sequence[str], root: str = "/", launcher: Sequence[str] = ()) -> None:
        self._directories = tuple(directories)
        self._root = Path(root)
        self._launcher = (*launcher, *(("chroot", root) if root != "/" else ()))
        self._versions: dict[tuple[str, int, int, int], frozenset[str]] = {}

    @property
    def path(self) -> str:
        """CNI_PATH."""
        return ":".join(self._directories)

    def find(self, plugin: str) -> str:
        """The path of a plugin's program, as the node sees it. Raises PluginError."""
        for directory in self._directories:
            seen = self.seen(f"{directory}/{plugin}")
            # A link may lead to where only the node sees something.
            if seen.is_symlink() or (seen.is_file() and os.access(seen, os.X_OK)):
                return f"{directory}/{plugin}"
        message = f"cannot find the CNI plugin {plugin} in {self.path} of this node"
        raise PluginError(message, Code.INVALID_ENVIRONMENT, plugin)

    def exists(self, path: str) -> bool:
        """Whether the node has a file."""
        return self.seen(path).exists()

    async def call(
        self, plugin: str, command: str, variables: Mapping[str, str], text: bytes, seconds: float = SECONDS
    ) -> bytes:
        """Run `plugin` once; what it wrote. Raises PluginError when it fails, hangs or is not there."""
        program = self.find(plugin)
        environment = {"PATH": _SEARCH_PATH, "CNI_COMMAND": command, "CNI_PATH": self.path, **variables}
        for patience in range(_BUSY_TRIES, -1, -1):
            ended = await self._run(plugin, program, environment, text, seconds)
            # Somebody is writing the program at this moment, as installers do.
            if not (patience and _is_busy(ended)):
                break
            await asyncio.sleep(_BUSY_SECONDS)
        if ended.said:
            log.debug("CNI plugin %s %s: %s", plugin, command, _words(ended.said))
        if ended.status != 0:
            raise _failure(plugin, command, ended)
        return ended.out

    async def start(self, plugin: str, *words: str) -> asyncio.subprocess.Process:
        """Start a plugin's program as a daemon; what it says goes to our own standard error."""
        environment = {"PATH": _SEARCH_PATH}
        try:
            return await asyncio.create_subprocess_exec(
                *self._launcher, self.find(plugin), *words,
                stdin=asyncio.subprocess.DEVNULL, env=environment, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise PluginError(f"cannot start the CNI plugin {plugin}: {error}", Code.IO_FAILURE, plugin) from error

    async def versions(self, plugin: str) -> frozenset[str]:
        """The versions of the specification that a plugin speaks; asked once for each state of its file."""
        stat = self.seen(self.find(plugin)).lstat()
        key = (plugin, stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if key not in self._versions:
            self._versions[key] = await self._ask_versions(plugin)
        return self._versions[key]

    async def _ask_versions(self, plugin: str) -> frozenset[str]:
        text = msgspec.json.encode({"cniVersion": config.VERSIONS[-1]})
        # Old plugins look for these before they look at the command.
        variables = {"CNI_CONTAINERID": "dummy", "CNI_NETNS": "dummy", "CNI_IFNAME": "dummy", "CNI_ARGS": ""}
        try:
            out = await self.call(plugin, "VERSION", variables, text)
        except TryLaterError:
            raise
        except PluginError as error:
            if "VERSION" in str(error):  # it does not know the command, which came with 0.2.0
                return frozenset(config.VERSIONS[:1])
            raise

        def fail(message: str) -> PluginError:
            return PluginError(f"cannot understand the versions of the CNI plugin {plugin}: {message}", plugin=plugin)

        return frozenset(document.Reader(document.decode(out, fail), "", fail).texts("supportedVersions"))

    async def _run(
        self, plugin: str, program: str, environment: Mapping[str, str], text: bytes, seconds: float
    ) -> Ended:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._launcher,
                program,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=dict(environment),
                start_new_session=True,
            )
        except OSError as error:
            if error.errno == errno.ETXTBSY:
                return Ended(126, b"", b"text file busy")
            raise PluginError(f"cannot start the CNI plugin {program}: {error}", Code.IO_FAILURE, plugin) from error
        ended: Ended | None = None
        try:
            async with asyncio.timeout(seconds):
                ended = await _talk(process, text)
                return ended
        except TimeoutError as error:
            message = f"cannot wait longer for the CNI plugin {plugin}: it was killed after {seconds:g} s"
            raise PluginError(message, plugin=plugin) from error
        finally:
            if not ended:
                await _end(process)

    def seen(self, path: str) -> Path:
        """Where a path of the node is seen from here."""
        return self._root / path.lstrip("/")


async def _talk(process: asyncio.subprocess.Process, text: bytes) -> Ended:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    out, said, _ = await asyncio.gather(_read(process.stdout), _read(process.stderr), _write(process.stdin, text))
    return Ended(await process.wait(), out, said)


async def _write(pipe: asyncio.StreamWriter, text: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # it did not care to read
        pipe.write(text)
        await pipe.drain()
    pipe.close()


async def _read(pipe: asyncio.StreamReader) -> bytes:
    """All that comes, up to a limit; what is beyond is thrown away, so that the plugin can end."""
    parts: list[bytes] = []
    size = 0
    while part := await pipe.read(65536):
        if size < _OUTPUT_LIMIT:
            parts.append(part)
        size += len(part)
    return b"".join(parts)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of the plugin and its children, and wait until it is gone. It may itself have ended,
    and a child of its hold the pipes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await asyncio.shield(asyncio.ensure_future(process.wait()))


def _is_busy(ended: Ended) -> bool:
    return ended.status == 126 and b"text file busy" in ended.said.lower()


def _failure(plugin: str, command: str, ended: Ended) -> PluginError:
    """The error that a plugin wrote: JSON with a numbered code, or whatever else it left."""
    head = f"cannot {command} by the CNI plugin {plugin}: "
    try:
        reader = document.Reader(document.decode(ended.out, ValueError), "", ValueError)
        code, message, details = reader.number("code"), reader.text("msg"), reader.text("details")
    except ValueError:
        code, message, details = 0, "", ""
    if not message:
        how = f"signal {-ended.status}" if ended.status < 0 else f"status {ended.status}"
        message = f"it ended with {how} and the words {_words(ended.said or ended.out)!r}"
    text = f"{head}{message}" + (f"; {details}" if details else "") + (f" (code {code})" if code else "")
    kind = TryLaterError if code == Code.TRY_AGAIN_LATER else PluginError
    return kind(text, code, plugin)


def _words(text: bytes) -> str:
    return text[-_SAID_LIMIT:].decode(errors="replace").strip()
