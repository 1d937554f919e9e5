"""Tells what is done, does it, and stops at the first statement that is not true.

A command line is printed as a person would type it, and exactly that line is run. A statement is looked at again
and again until it is true, or its time is over: then what was seen instead is printed, with the evidence.
"""

import os
import shlex
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from typing import TextIO

from podnet_hack import errors, paths

WIDTH = 100
POLL_SECONDS = 0.3
COMMAND_SECONDS = 120

Probe = Callable[[], str]
"""Looks once; returns "" when the statement is true, else what is seen instead."""


class UntrueError(errors.HackError):
    """A statement of the demo is not true."""


class Narrator:
    """Prints and runs; ``evidence`` are command lines whose output is shown when a statement is untrue."""

    def __init__(self, env: Mapping[str, str], evidence: tuple[str, ...] = (), out: TextIO = sys.stdout) -> None:
        self._env = os.environ | dict(env)
        self._evidence = evidence
        self._out = out
        self._style = _Style(out.isatty())

    def heading(self, text: str) -> None:
        """Opens a chapter."""
        self._print("\n" + self._style.bold(text) + "\n" + self._style.bold("─" * len(text)))

    def say(self, text: str) -> None:
        """A paragraph."""
        self._print(textwrap.fill(" ".join(text.split()), WIDTH))

    def run(self, line: str) -> str:
        """Shows a command line, runs it, shows what came out."""
        self._print("\n" + self._style.bold(f"$ {line}"))
        done = self._done(line)
        self._print(_indented(done.stdout + done.stderr))
        if done.returncode != 0:
            self._show_evidence()
            raise UntrueError(f"cannot run `{line}`: exit status {done.returncode}")
        return done.stdout

    def holds(self, statement: str, probe: Probe, seconds: float = 60) -> None:
        """Waits until a statement is true and says so; raises UntrueError with the evidence if it does not come."""
        start = time.monotonic()
        while seen := probe():
            if time.monotonic() - start > seconds:
                raise self._untrue(statement, seen, seconds)
            time.sleep(POLL_SECONDS)
        self._print(f"  {self._style.green('✔')} {statement}  ({time.monotonic() - start:.1f} s)")

    def shows(self, text: str) -> None:
        """Something that was looked up, e.g. a table."""
        self._print(_indented(text))

    def _untrue(self, statement: str, seen: str, seconds: float) -> UntrueError:
        self._print(f"  {self._style.red('✘')} {statement}")
        self._show_evidence()
        return UntrueError(f"cannot confirm within {seconds:.0f} s that {statement}: {seen}")

    def _show_evidence(self) -> None:
        for line in self._evidence:
            self._print("\n" + self._style.bold(f"$ {line}"))
            done = self._done(line)
            self._print(_indented(done.stdout + done.stderr))

    def _done(self, line: str) -> "subprocess.CompletedProcess[str]":
        words = shlex.split(line)
        try:
            return subprocess.run(
                words,
                env=self._env,
                cwd=paths.CHECKOUT,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(words, 124, "", f"not finished within {COMMAND_SECONDS} s\n")

    def _print(self, text: str) -> None:
        print(text, file=self._out, flush=True)


class _Style:
    """Escape sequences on a terminal, nothing in a file."""

    def __init__(self, terminal: bool) -> None:
        self._terminal = terminal

    def bold(self, text: str) -> str:
        return self._wrapped("1", text)

    def green(self, text: str) -> str:
        return self._wrapped("32", text)

    def red(self, text: str) -> str:
        return self._wrapped("31", text)

    def _wrapped(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._terminal else text


def _indented(text: str) -> str:
    return textwrap.indent(text.rstrip(), "    ")
