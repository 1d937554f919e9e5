"""kuryr-kubernetes: NADs with the annotation openstack.org/kuryr-config, and Pods on them. Pure.

Format: kuryr_kubernetes/controller/drivers/multi_vif.py. The Neutron subnet is OpenStack's, and kuryr's CNI attaches
all ports of a Pod in one call: what takes its place must be decided. Interfaces are eth1, eth2, ... whatever the Pod
asks for. A namespace on one item of the list leaks to the later items: where that changes what is meant, it is said.
"""

from __future__ import annotations

from podnet_api.faults import FaultType

from podnet_compat import jsontext, names
from podnet_compat.annotation import Selection
from podnet_compat.reader import Notes, Reader
from podnet_compat.systems import decided, npwg
from podnet_compat.systems.base import Listing, Made, Objects, Source
from podnet_compat.systems.registry import System, nads

KEY = "openstack.org/kuryr-config"
PATH = f"metadata.annotations[{KEY}]"
_DROPPED = "is not read by kuryr: the Pod does not get it"


def is_ours(nad: Source) -> bool:
    """Whether ``nad`` is of kuryr."""
    return KEY in nad.annotations


def network(origin: Source, _: Objects) -> Made:
    """A NAD, with or without a spec. Raises InvalidError."""
    notes = Notes()
    origin.check_top(notes, "spec")
    if npwg.text(origin):
        notes.warn(npwg.CONFIG, "is not translated: kuryr never reads it")
    name, own = npwg.name(origin, notes), _config(origin, notes)
    subnet, driver = own.string("subnetId"), own.string("driverType")
    own.finish(refuse=False)
    what = f"subnet {subnet or 'of the driver'} is OpenStack's; what takes its place on the nodes must be decided"
    replaced = [own.at(key) for key, value in (("subnetId", subnet), ("driverType", driver)) if value]
    return decided.network(origin, name, what, own.at("subnetId"), notes, replaced)


def translate(pod: Source, objects: Objects) -> Made:
    """The list of ``pod``. Raises InvalidError with every fault."""
    notes = Notes()
    listing, written, leaked = Listing(pod, notes, adds=True), _written(pod), ""
    for place, one in enumerate(npwg.selections(pod, notes)):
        said = written[place] if place < len(written) else ""
        leaked = said or leaked
        nad = _find(one, said, leaked, objects, notes)
        if nad is None:
            continue
        if not is_ours(nad):
            message = f"{nad.subject} is not kuryr's, which fails the Pod then"
            notes.unsupported(f"{one.path}.name", one.name, message)
            continue
        npwg.drop(one, _DROPPED, notes)
        origin = f"{nad.namespace}/{nad.name}"
        listing.add(one.path, npwg.name(nad, notes, f"{one.path}.name"), f"eth{place + 1}", origin=origin)
    return listing.made()


def _config(origin: Source, notes: Notes) -> Reader:
    try:
        found = jsontext.load(origin.annotations[KEY])
    except jsontext.BrokenJsonError as error:
        notes.fault(PATH, str(error))
        found = {}
    if not isinstance(found, dict):
        notes.fault(PATH, "must be a JSON object", found)
    return Reader(found if isinstance(found, dict) else {}, PATH, notes)


def _written(pod: Source) -> list[str]:
    """The namespace that each item of the list says itself."""
    text = pod.annotations.get(names.NETWORKS, "")
    if not any(mark in text for mark in '[{"'):
        return [item.strip().rpartition("/")[0] for item in text.split(",")]
    try:
        items = jsontext.load(text)
    except jsontext.BrokenJsonError:
        return []
    readings = (
        [Reader(item, "", Notes()) for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    )
    return [one.string("namespace") for one in readings]


def _find(one: Selection, said: str, leaked: str, objects: Objects, notes: Notes) -> Source | None:
    """The NAD that kuryr takes; with a fault where it is another than the one that is meant."""
    meant = npwg.find(objects, one.namespace, one.name)
    if said or not leaked or leaked == one.namespace:
        return npwg.must_find(objects, one, notes)
    taken = npwg.find(objects, leaked, one.name)
    at, bug = f"{one.path}.namespace", f"kuryr takes the namespace {leaked} of an item before it"
    if meant is not None and taken is not None:
        message = f"{bug}, where there is another of this name than in {one.namespace}: say the namespace"
        notes.fault(at, message, one.name, FaultType.REQUIRED)
        return None
    if taken is not None:
        notes.warn(at, f"{bug}, and so does this translation: there is none of this name in {one.namespace}")
        return taken
    if meant is not None:
        notes.warn(at, f"{bug}, which fails the Pod; here it is {one.namespace}'s")
    return npwg.must_find(objects, one, notes)


SYSTEM = System(
    "kuryr",
    adds=True,
    kinds=(nads(network, is_ours),),
    pods=translate,
    carries=(names.NETWORKS,),
    claims=npwg.claims(is_ours),
)
