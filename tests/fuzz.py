"""Feeds everything that reads bytes of others, for long: `make fuzz`. With atheris, where it is installed, the code is
instrumented and inputs grow towards code that was not reached yet; without it they are mutations of good ones."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import logging
import pathlib
import random
import subprocess
import sys
import tempfile
import time

GUIDED = importlib.util.find_spec("atheris") is not None
READERS = ("podnet_api.networks", "podnet_kni_server")


def main() -> int:
    """Every target for its share of the time, each in a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together")
    parser.add_argument("--target", default="")
    parser.add_argument("--directory", type=pathlib.Path, default=None, help="where inputs are kept from run to run")
    args = parser.parse_args()
    if args.target:
        return _guided(args) if GUIDED else _mutated(args)
    from podnet_tests import fuzzing

    each = max(1, args.seconds // len(fuzzing.TARGETS))
    directory = args.directory or pathlib.Path(tempfile.mkdtemp(prefix="podnet-fuzz-"))
    failed = []
    for name in fuzzing.TARGETS:
        place = directory / name
        place.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, __file__, f"--target={name}", f"--seconds={each}", f"--directory={place}"]
        if subprocess.run(words, check=False).returncode:
            failed.append(name)
    outcome = f"{', '.join(failed)} failed, see {directory}" if failed else "no error"
    print(f"{'atheris' if GUIDED else 'mutations'}, {each} s each: {outcome}")
    return 1 if failed else 0


def _mutated(args: argparse.Namespace) -> int:
    from podnet_tests import fuzzing

    logging.disable()
    target, chance = fuzzing.TARGETS[args.target], random.Random()
    end, count = time.monotonic() + args.seconds, 0
    while time.monotonic() < end:
        for data in fuzzing.mutations(target, chance, 100):
            (args.directory / "last").write_bytes(data)
            target.feed(data)
            count += 1
    print(f"{args.target}: {count} inputs")
    return 0


def _guided(args: argparse.Namespace) -> int:
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=list(READERS)):
        from podnet_tests import fuzzing
    logging.disable()
    target = fuzzing.TARGETS[args.target]
    for number, seed in enumerate(target.seeds):
        (args.directory / f"seed-{number}").write_bytes(seed)
    flags = [f"-max_total_time={args.seconds}", "-max_len=8192", "-verbosity=0", "-print_final_stats=1"]
    artifacts = f"-artifact_prefix={args.directory.parent}/{args.target}-"
    atheris.Setup([sys.argv[0], *flags, artifacts, str(args.directory)], target.feed)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
