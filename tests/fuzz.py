"""Feeds everything that reads bytes of others, for long: `make fuzz`. With atheris, where it is installed, the code is
instrumented and inputs grow towards code that was not reached yet; without it they are mutations of good ones."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import importlib.util
import itertools
import logging
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent import futures

GUIDED = importlib.util.find_spec("atheris") is not None
_COUNT = re.compile(r"(?:inputs|number_of_executed_units): +([0-9]+)")
"""What a target says at its end, here and as libFuzzer."""
READERS = ("podnet_api.networks", "podnet_kni_server", "podnet_compat", "podnet_scheduler_extender")


def main() -> int:
    """Every target for its share of the time or of the inputs, each in a process of its own."""
    args = _parser().parse_args()
    args.directory = args.directory or pathlib.Path(tempfile.mkdtemp(prefix="podnet-fuzz-"))
    args.directory.mkdir(parents=True, exist_ok=True)
    if args.target not in {"", "compat"}:  # nothing is imported before it can be instrumented
        return _mutated(args) if args.mutations or not GUIDED else _guided(args)
    from podnet_tests import fuzzing, fuzzing_compat

    shares = {} if args.target == "compat" else dict.fromkeys(fuzzing.TARGETS, 1.0)
    shares |= {name: one.share for name, one in fuzzing_compat.TARGETS.items()}
    begin = time.monotonic()
    with futures.ThreadPoolExecutor(args.jobs) as pool:
        outcomes = list(pool.map(lambda name: _run(name, shares[name] / sum(shares.values()), args), shares))
    seconds, failed = time.monotonic() - begin, [one.name for one in outcomes if one.failed]
    counted = sum(one.count for one in outcomes)
    print(f"{'all':28}{counted:12,}{counted / seconds:12,.0f} a second, {seconds:.0f} s with {args.jobs} at a time")
    print(f"{', '.join(failed)} failed, see {args.directory}" if failed else "no error", flush=True)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together")
    parser.add_argument("--target", default="", help="one of them, or compat for all translators")
    parser.add_argument("--runs", type=int, default=0, help="so many inputs for all together, however long it takes")
    parser.add_argument("--jobs", type=int, default=1, help="so many targets at a time")
    parser.add_argument(
        "--mutations", action="store_true", help="without atheris: inputs come faster, and are not guided"
    )
    parser.add_argument("--directory", type=pathlib.Path, default=None, help="where inputs are kept from run to run")
    return parser


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Of one target."""

    name: str
    count: int
    failed: bool


def _run(name: str, share: float, args: argparse.Namespace) -> Outcome:
    """One target in a process of its own, and a line about it."""
    place = args.directory / name
    place.mkdir(parents=True, exist_ok=True)
    bound = f"--runs={max(1, round(args.runs * share))}" if args.runs else _seconds(args, share)
    words = [sys.executable, __file__, f"--target={name}", bound, f"--directory={place}"]
    begin = time.monotonic()
    done = subprocess.run(
        words + ["--mutations"] * args.mutations,
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    found = _COUNT.findall(done.stdout)
    count, took = int(found[-1]) if found else 0, time.monotonic() - begin
    if done.returncode:
        print(done.stdout[-4000:])
    print(f"{name:28}{count:12,}{count / took:12,.0f} a second" + "  FAILED" * bool(done.returncode), flush=True)
    return Outcome(name, count, bool(done.returncode))


def _seconds(args: argparse.Namespace, share: float) -> str:
    return f"--seconds={max(1, round(args.seconds * share * args.jobs))}"


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
    print(f"{args.target}: inputs: {count} with seed {seed}", flush=True)
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
