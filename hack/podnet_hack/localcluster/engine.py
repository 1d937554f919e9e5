"""Which container engine a cluster runs on: the user's own if one answers, else ours."""

import dataclasses
import os
import shutil
from collections.abc import Mapping

from podnet_hack import command, errors, packages
from podnet_hack.localcluster import components, daemon

ANSWER_SECONDS = 10


@dataclasses.dataclass(frozen=True)
class Engine:
    """A Docker or Podman that answers, and how to reach it."""

    program: str
    env: Mapping[str, str]
    ours: bool

    def run(self, *argv: command.Argument, stdin: command.Input = None, timeout: float | None = None) -> str:
        """Runs one of the engine's commands."""
        return command.run(self.program, *argv, env=self.env, stdin=stdin, timeout=timeout)

    def succeeds(self, *argv: command.Argument) -> bool:
        """Whether one of the engine's commands succeeds."""
        return command.succeeds(self.program, *argv, env=self.env)


def find() -> Engine:
    """The engine to use; ours is started if there is no other."""
    theirs = _theirs()
    if theirs:
        return theirs
    _check_that_we_can()
    daemon.start()
    return _ours()


def find_existing() -> Engine | None:
    """The engine that a cluster may run on, without starting one on a machine that has none.

    An engine of ours that was killed is started again: it alone can take its containers down properly.
    """
    theirs = _theirs()
    if theirs:
        return theirs
    if not daemon.present():
        return None
    daemon.start()
    return _ours()


def _ours() -> Engine:
    path = os.pathsep.join([str(daemon.programs()), os.environ["PATH"]])
    env = {"DOCKER_HOST": f"unix://{daemon.socket()}", "PATH": path, "KIND_EXPERIMENTAL_PROVIDER": "docker"}
    return Engine(str(daemon.programs() / "docker"), env, ours=True)


def _theirs() -> Engine | None:
    # Somebody who works with our engine has it in the environment: it is still ours.
    if os.environ.get("DOCKER_HOST") == f"unix://{daemon.socket()}":
        return None
    for program in ("docker", "podman"):
        if shutil.which(program) and command.succeeds(program, "info", timeout=ANSWER_SECONDS):
            if _is_podman_in_disguise(program):
                program = "podman"
            return Engine(program, {"KIND_EXPERIMENTAL_PROVIDER": program}, ours=False)
    return None


def _is_podman_in_disguise(program: str) -> bool:
    return program == "docker" and "podman" in command.run(program, "--version").lower()


def _check_that_we_can() -> None:
    if not (packages.can_install() and components.available()):
        raise errors.MissingError(
            "cannot make a local cluster: neither Docker nor Podman answers, and making an engine of our own"
            " needs root on Debian and a Go toolchain (package golang)"
        )
