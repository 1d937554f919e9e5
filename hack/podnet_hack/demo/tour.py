"""The chapters in order. Each says what it shows, shows it, and checks every statement it makes."""

from podnet_hack import paths
from podnet_hack.demo import crash, legacy, networks, placement, pool, stage, table, waiting
from podnet_hack.demo.narrate import Narrator
from podnet_hack.demo.stage import NAMESPACE, NETWORKS, Stage
from podnet_hack.demo.world import SYSTEM, World

CHAPTERS = (networks, placement, waiting, pool, legacy, crash, table)
EVIDENCE = (
    f"kubectl -n {NAMESPACE} get pods -o wide",
    f"kubectl -n {NAMESPACE} describe pods",
    "kubectl get podnetworks,nodenetworks,ipblocks",
    f"kubectl -n {SYSTEM} get pods -o wide",
    f"kubectl -n {SYSTEM} logs -l app.kubernetes.io/part-of=podnet --prefix --tail=15",
)


def take(cluster: str) -> None:
    """The whole tour; raises UntrueError at the first statement that is not true."""
    world = World(cluster, NAMESPACE)
    shown = world.through_proxy()
    tell = Narrator(shown.env, EVIDENCE)
    on = Stage(tell, world, shown)
    stage.need(len(world.workers()) >= 3, f"cannot take the tour: the cluster {cluster} has fewer than three workers")
    tell.heading(f"podnet: several networks per Pod, on the stock cluster {cluster}")
    tell.say("Every command below can be typed, in the directory of the checkout, in a shell with")
    tell.shows("\n".join(f'export {key}="{value}"' for key, value in _shell(shown).items()))
    tell.say(
        "This kubeconfig leads through podnet-proxy, which shows the list of networks as the field spec.networks. The"
        " API server behind it is unmodified, and so is kubectl."
    )
    _clear(world)
    for chapter in CHAPTERS:
        chapter.show(on)


def _shell(world: World) -> dict[str, str]:
    """The environment for a person: shorter than the one that programs get."""
    env = {key: value for key, value in world.env.items() if key in {"KUBECONFIG", "DOCKER_HOST"}}
    places = [place for place in world.env["PATH"].split(":") if str(paths.cache()) in place]
    return {**env, "PATH": ":".join(dict.fromkeys([*places, "$PATH"]))}


def _clear(world: World) -> None:
    """Takes away what an earlier tour left, and opens the namespace."""
    flags = ("--ignore-not-found", "--wait=true", "--timeout=90s")
    world.kubectl("delete", "namespace", NAMESPACE, *flags, timeout=120)
    for kind in ("podnetworks", "networkconfigs"):
        world.kubectl("delete", kind, *NETWORKS, *flags, timeout=120)
    world.kubectl("create", "namespace", NAMESPACE)
