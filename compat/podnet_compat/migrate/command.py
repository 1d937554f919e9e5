"""``podnet-compat migrate plan|apply|rollback``: from Multus to podnet, namespace by namespace, and back.

Exit status of plan: 0 everything moves (with ``--strict``: without any difference), 1 something is refused or must be
decided. Of apply and rollback: 0 done, 1 a namespace was not moved. Of all three 2: wrong usage, a file or the cluster
cannot be read, or a write failed; run the same command again.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from podnet_api.errors import PodnetError
from podnet_api.kube import Client, Credentials

from podnet_compat.migrate import foreign, planning, reading, report, work
from podnet_compat.migrate.inventory import Inventory
from podnet_compat.migrate.report import Report

FAILED = 2
_MULTUS = ["kube-system", "openshift-multus"]


def main(arguments: Sequence[str]) -> int:
    """The command; its exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "plan":
            return _plan(options)
        return asyncio.run(_work(options))
    except PodnetError as error:
        print(error, file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="podnet-compat migrate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    plan = commands.add_parser("plan", help="what becomes of each object; changes nothing")
    plan.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files and directories instead of a cluster")
    plan.add_argument("-n", "--namespace", action="append", default=[], help="only these (may be repeated)")
    plan.add_argument("-o", "--output", choices=("table", "json", "yaml"), default="table")
    plan.add_argument("--all", action="store_true", help="a table with the Pods that are like what made them")
    plan.add_argument("--strict", action="store_true", help="status 1 also for what moves but differs")
    _common(plan)
    for word, text in (("apply", "podnet attaches the new Pods of namespaces"), ("rollback", "Multus does so again")):
        command = commands.add_parser(word, help=text)
        chosen = command.add_mutually_exclusive_group(required=True)
        chosen.add_argument("-n", "--namespace", action="append", default=[], help="may be repeated")
        chosen.add_argument("-A", "--all-namespaces", action="store_true", help="all that have to do with Multus")
        command.add_argument("--dry-run", choices=("none", "server"), default="none")
        command.add_argument("--restart", action="store_true", help="workloads make the Pods of the other side anew")
        if word == "apply":
            command.add_argument("--decided", action="store_true", help="what plan asks has been decided")
        _common(command)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kubeconfig", help="default: $KUBECONFIG, the Pod's service account, ~/.kube/config")
    help_ = "where the ConfigMaps of Multus are (may be repeated); default: " + ", ".join(_MULTUS)
    parser.add_argument("--multus-namespace", action="append", help=help_)


def _plan(options: argparse.Namespace) -> int:
    found = reading.files(options.paths, "default") if options.paths else asyncio.run(_read(options))
    whole = planning.plan(found, foreign.rows(found.items, "default"))
    chosen = _chosen(whole, set(options.namespace)) if options.namespace else whole
    print(report.text(chosen, options.output, whole=options.all), end="")
    return chosen.exit_status(strict=options.strict)


def _chosen(whole: Report, namespaces: set[str]) -> Report:
    """The rows of ``namespaces``, and those that concern every namespace."""
    rows = [row for row in whole.rows if (row.name if row.kind == "Namespace" else row.namespace) in {"", *namespaces}]
    return report.made([row for row in rows if row.kind != "Namespace" or row.name in namespaces])


async def _read(options: argparse.Namespace) -> Inventory:
    async with Client(Credentials.load(options.kubeconfig), "podnet-migrate") as client:
        return await reading.cluster(client, options.multus_namespace or _MULTUS)


async def _work(options: argparse.Namespace) -> int:
    multus = options.multus_namespace or _MULTUS
    wanted = work.Options(
        options.dry_run == "server",
        options.restart,
        decided=getattr(options, "decided", False),
    )
    async with Client(Credentials.load(options.kubeconfig), "podnet-migrate") as client:
        run = work.Work(client, lambda only: reading.cluster(client, multus, only), wanted, _say)
        namespaces = options.namespace
        if options.all_namespaces:
            namespaces = planning.namespaces(await reading.cluster(client, multus))
        return await (run.apply(namespaces) if options.command == "apply" else run.rollback(namespaces))


def _say(text: str) -> None:
    print(text, file=sys.stderr if text.startswith("cannot") else sys.stdout, flush=True)
