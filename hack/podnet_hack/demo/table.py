"""g) Who has what, and how to look around."""

from podnet_hack.demo import world
from podnet_hack.demo.stage import NAMESPACE, Stage, name_of

HEADER = ("POD", "NODE", "NETWORK", "INTERFACE", "ADDRESSES")


def show(on: Stage) -> None:
    """A table of Pods, nodes, networks and addresses."""
    on.tell.heading("g) Who has what")
    on.tell.shows(_table(on))
    on.tell.heading("Look around")
    on.tell.shows(
        "\n".join(
            (
                "kubectl get podnetworks,networkconfigs,nodenetworks,ipblocks",
                f"kubectl -n {NAMESPACE} get pods -o wide",
                f"kubectl -n {NAMESPACE} describe pod both",
                f"kubectl -n {NAMESPACE} exec deploy/web -- ip address",
                "kubectl -n podnet-system logs -l app.kubernetes.io/part-of=podnet --prefix --tail=20",
                "make demo-down        # take all of it away",
            )
        )
    )


def _table(on: Stage) -> str:
    rows = [HEADER]
    for pod in (one for one in on.world.all_of("pods") if "deletionTimestamp" not in one["metadata"]):
        node = pod["spec"].get("nodeName", "(waits)")
        entries = world.network_status(pod)
        if not entries:
            rows.append((name_of(pod), node, "", "", ""))
        for entry in entries:
            words = " ".join(entry.get("addresses", ()))
            rows.append((name_of(pod), node, entry["network"], entry["interface"], words))
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
