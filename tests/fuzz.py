"""Feeds everything that reads bytes of others, for long: `make fuzz`. With atheris, where it is installed, the code is
instrumented and inputs grow towards code that was not reached yet; without it they are mutations of good ones."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import itertools
import logging
import pathlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

GUIDED = importlib.util.find_spec("atheris") is not None
READERS = ("podnet_api.networks", "podnet_kni_server", "podnet_compat")


def main() -> int:
    """Every target for its share of the time, each in a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together")
    parser.add_argument("--target", default="", help="one of them, or compat for all translators")
    parser.add_argument("--runs", type=int, default=0, help="so many inputs of each, however long it takes")
    parser.add_argument("--directory", type=pathlib.Path, default=None, help="where inputs are kept from run to run")
    args = parser.parse_args()
    if args.target not in {"", "compat"}:  # nothing is imported before it can be instrumented
        args.directory = args.directory or pathlib.Path(tempfile.mkdtemp(prefix="podnet-fuzz-"))
        args.directory.mkdir(parents=True, exist_ok=True)
        return _guided(args) if GUIDED else _mutated(args)
    from podnet_tests import fuzzing, fuzzing_compat

    names = [*(() if args.target == "compat" else fuzzing.TARGETS), *fuzzing_compat.TARGETS]
    each, runs = max(1, args.seconds // len(names)), args.runs // len(names)
    directory = args.directory or pathlib.Path(tempfile.mkdtemp(prefix="podnet-fuzz-"))
    failed = []
    for name in names:
        place = directory / name
        place.mkdir(parents=True, exist_ok=True)
        bound = f"--runs={runs}" if runs else f"--seconds={each}"
        words = [sys.executable, __file__, f"--target={name}", bound, f"--directory={place}"]
        if subprocess.run(words, check=False).returncode:
            failed.append(name)
    outcome = f"{', '.join(failed)} failed, see {directory}" if failed else "no error"
    print(f"{'atheris' if GUIDED else 'mutations'}, {f'{runs} inputs' if runs else f'{each} s'} each: {outcome}")
    return 1 if failed else 0


def _mutated(args: argparse.Namespace) -> int:
    """Inputs for so long, or so many; what made it fail stands in the directory."""
    logging.disable()
    seed = random.randrange(2**32)
    feed, made = _inputs(args.target, random.Random(seed))
    end, count = time.monotonic() + args.seconds, 0
    while count < args.runs if args.runs else time.monotonic() < end:
        for data in itertools.islice(made, 100):
            try:
                feed(data)
            except BaseException:
                (args.directory / "last").write_bytes(data)
                raise
            count += 1
    print(f"{args.target}: {count} inputs, seed {seed}", flush=True)
    return 0


def _inputs(name: str, chance: random.Random) -> tuple[Callable[[bytes], None], Iterator[bytes]]:
    """What is fed, and with what, for ever."""
    from podnet_tests import fuzzing, fuzzing_compat

    if name in fuzzing_compat.TARGETS:
        compat = fuzzing_compat.TARGETS[name]
        return compat.feed, fuzzing_compat.inputs(compat, chance)
    target = fuzzing.TARGETS[name]
    return target.feed, itertools.chain.from_iterable(fuzzing.mutations(target, chance, 100) for _ in itertools.count())


def _guided(args: argparse.Namespace) -> int:
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=list(READERS)):
        from podnet_tests import fuzzing, fuzzing_compat
    logging.disable()
    compat = {name: fuzzing_compat.plain(one) for name, one in fuzzing_compat.TARGETS.items()}
    target = {**fuzzing.TARGETS, **compat}[args.target]
    for number, seed in enumerate(target.seeds):
        (args.directory / f"seed-{number}").write_bytes(seed)
    bound = f"-runs={args.runs}" if args.runs else f"-max_total_time={args.seconds}"
    flags = [bound, "-max_len=8192", "-verbosity=0", "-print_final_stats=1"]
    artifacts = f"-artifact_prefix={args.directory.parent}/{args.target}-"
    atheris.Setup([sys.argv[0], *flags, artifacts, str(args.directory)], target.feed)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
