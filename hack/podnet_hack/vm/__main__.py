"""`python -m podnet_hack.vm run -- COMMAND`: runs a command in the VM. `... test`: the tests that belong there."""

import argparse
import sys

from podnet_hack import errors
from podnet_hack.vm import runner, suite


def main(argv: list[str]) -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="podnet_hack.vm", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="run a command in the VM and end with its exit status")
    run.add_argument("--deadline", type=float, default=runner.DEADLINE, help="seconds that it may take")
    run.add_argument("command", nargs="+")
    verbs.add_parser("test", help="run the tests there that need the VM")
    args = parser.parse_args(argv)
    statuses: list[int] = []

    def work() -> None:
        statuses.append(suite.run() if args.verb == "test" else runner.run(args.command, deadline=args.deadline))

    return errors.reported(work) or statuses[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
