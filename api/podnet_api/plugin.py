"""kubectl podnet: what podnet knows, for people. A kubectl plugin: kubectl runs a program called kubectl-podnet.

``kubectl podnet why POD`` asks the scheduler extender about a Pod: for every node whether it could take it, and
why not. The extender listens on the loopback of its node, so the way leads through ``kubectl port-forward``, with
the rights of whoever asks (create of pods/portforward in the namespace of podnet).

``kubectl podnet migrate ...`` is the program ``podnet-compat migrate ...``, which comes with compat and not with this.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence

from podnet_api.errors import PodnetError

EXTENDER = "app.kubernetes.io/name=podnet-scheduler-extender"
PORT = 10261
SECONDS = 30
COMPAT = "podnet-compat"
_FORWARDING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")


class PluginError(PodnetError):
    """kubectl or the extender did not answer as they should, or a program is missing."""


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="kubectl podnet", description="What podnet knows of Pods and networks.")
    commands = parser.add_subparsers(dest="command", required=True)
    why = commands.add_parser("why", help="for every node, why it can or cannot take a Pod with networks")
    why.add_argument("pod")
    why.add_argument("-n", "--namespace", help="of the Pod; default: that of the context")
    why.add_argument("-o", "--output", choices=("text", "json"), default="text")
    why.add_argument("--kubeconfig", help="for kubectl")
    why.add_argument("--context", help="for kubectl")
    why.add_argument("--system-namespace", default="podnet-system", help="where podnet runs")
    commands.add_parser("migrate", help="from Multus to podnet and back, namespace by namespace", add_help=False)
    return parser.parse_args(argv)


class Kubectl:
    """kubectl with the user's own flags."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        given = (("--kubeconfig", arguments.kubeconfig), ("--context", arguments.context))
        self._words = ["kubectl", *(word for flag, value in given if value for word in (flag, value))]

    def run(self, *words: str) -> str:
        """Its output. Raises PluginError with what it said."""
        try:
            done = subprocess.run([*self._words, *words], capture_output=True, text=True, timeout=SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PluginError(f"cannot run kubectl: {error}") from error
        if done.returncode:
            raise PluginError(f"cannot {words[0]} with kubectl: {done.stderr.strip()}")
        return done.stdout.strip()

    @contextlib.contextmanager
    def forwarded(self, namespace: str, pod: str, port: int) -> Iterator[int]:
        """A local port that leads to a port of a Pod."""
        words = [*self._words, "port-forward", "--namespace", namespace, pod, f":{port}", "--address=127.0.0.1"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                found = _FORWARDING.match(process.stdout.readline() if process.stdout else "")
                if found is None:
                    process.kill()
                    raise PluginError(f"cannot reach {pod}: {process.communicate()[1].strip()}")
                yield int(found[1])
            finally:
                process.kill()


def why(kubectl: Kubectl, arguments: argparse.Namespace) -> str:
    """What the extender says of the Pod. Raises PluginError."""
    namespace = arguments.namespace or kubectl.run("config", "view", "--minify", "--output=jsonpath={..namespace}")
    system = arguments.system_namespace
    pods = kubectl.run("get", "pods", "--namespace", system, "--selector", EXTENDER, "--output=name").split()
    if not pods:
        raise PluginError(f"cannot ask the scheduler extender: it does not run in namespace {system}")
    query = urllib.parse.urlencode({"pod": f"{namespace or 'default'}/{arguments.pod}", "output": arguments.output})
    with kubectl.forwarded(system, pods[0], PORT) as port:
        return _get(f"http://127.0.0.1:{port}/explain?{query}")


def _get(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        raise PluginError(error.read().decode().strip()) from error
    except OSError as error:
        raise PluginError(f"cannot ask the scheduler extender: {error}") from error


def migrate(words: Sequence[str]) -> None:
    """Becomes ``podnet-compat migrate`` with these words. Raises PluginError where that program is missing."""
    found = shutil.which(COMPAT)
    if found is None:
        raise PluginError(
            f"cannot find the program {COMPAT}, which migrates: install the Python package of that name, or run "
            f"'{COMPAT} migrate' from podnet's image with a kubeconfig"
        )
    os.execv(found, [COMPAT, "migrate", *words])


def main(argv: Sequence[str] | None = None) -> None:
    """Exit status 0, or 1 with a sentence that says why; of ``migrate``, that of the program."""
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        if given[:1] == ["migrate"]:
            return migrate(given[1:])
        arguments = _arguments(given)
        print(why(Kubectl(arguments), arguments).rstrip())
    except PluginError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
