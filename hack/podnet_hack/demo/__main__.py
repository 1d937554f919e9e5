"""The demo: `python -m podnet_hack.demo --cluster NAME`; brings the cluster up, deploys podnet, and takes the tour.

May be run again and again, on a cluster that is up or not. Ends with status 1 at the first statement that is untrue.
"""

import argparse
import sys

from podnet_hack import deploy, errors
from podnet_hack.demo import tour
from podnet_hack.localcluster import cluster


def main(argv: list[str]) -> None:
    """The program."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--cluster", default="podnet")
    parser.add_argument("--only-tour", action="store_true", help="podnet runs in the cluster already")
    given = parser.parse_args(argv)
    if not given.only_tour:
        cluster.up(given.cluster)
        deploy.deploy(given.cluster)
    tour.take(given.cluster)


if __name__ == "__main__":
    sys.exit(errors.reported(lambda: main(sys.argv[1:])))
