"""Runs other programs: quiet when they succeed, and with the end of their output when they fail."""

import os
import pathlib
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from typing import IO, Any

from podnet_hack import errors

Argument = str | pathlib.Path
Input = str | IO[bytes] | None

SHOWN_LINES = 30


def run(
    *argv: Argument,
    env: Mapping[str, str] | None = None,
    cwd: pathlib.Path | None = None,
    stdin: Input = None,
    timeout: float | None = None,
) -> str:
    """Runs a program to its end and returns what it wrote to stdout."""
    words = [str(word) for word in argv]
    try:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            words,
            env=os.environ | dict(env or {}),
            cwd=cwd,
            **_input(stdin),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as cause:
        raise errors.MissingError(f"cannot run {words[0]}: there is no such program") from cause
    except subprocess.TimeoutExpired as cause:
        raise errors.NotReadyError(f"cannot finish `{shown(words)}` within {timeout:.0f} s") from cause
    if done.returncode != 0:
        raise failure(words, done)
    return done.stdout


def _input(stdin: Input) -> dict[str, Any]:
    """A text is written to the program; a file or pipe becomes its stdin; else it has none."""
    if isinstance(stdin, str):
        return {"input": stdin}
    return {"stdin": subprocess.DEVNULL if stdin is None else stdin}


def succeeds(*argv: Argument, env: Mapping[str, str] | None = None, timeout: float | None = None) -> bool:
    """Whether a program exists and ends with status 0."""
    try:
        run(*argv, env=env, timeout=timeout)
    except errors.HackError:
        return False
    return True


def failure(words: Sequence[str], done: subprocess.CompletedProcess[str]) -> errors.CommandError:
    """The error that tells how a program failed."""
    output = (done.stdout + done.stderr).strip()
    tail = "\n".join(output.splitlines()[-SHOWN_LINES:])
    return errors.CommandError(f"cannot run `{shown(words)}`: exit status {done.returncode}\n{tail}", output)


def shown(words: Sequence[str]) -> str:
    """A command line for a message; long ones are cut."""
    line = shlex.join(words)
    return line if len(line) < 200 else line[:200] + "..."
