"""kubectl podnet migrate becomes another program, or says how to get it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run(*words: str, path: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "podnet_api.plugin", *words]
    env = {**os.environ, "PATH": str(path)}
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_migrate_becomes_the_program(tmp_path: Path) -> None:
    program = tmp_path / "podnet-compat"
    program.write_text('#!/bin/sh\necho "$@"\nexit 3\n')
    program.chmod(0o755)
    done = run("migrate", "plan", "-n", "blue", "--help", path=tmp_path)
    assert (done.returncode, done.stdout) == (3, "migrate plan -n blue --help\n"), done.stderr


def test_without_the_program(tmp_path: Path) -> None:
    done = run("migrate", "plan", path=tmp_path)
    assert done.returncode == 1
    assert "cannot find the program podnet-compat" in done.stderr


def test_the_help_names_every_command(tmp_path: Path) -> None:
    done = run("--help", path=tmp_path)
    assert done.returncode == 0
    assert "why" in done.stdout
    assert "migrate" in done.stdout
