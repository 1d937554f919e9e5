"""How an edited NAD reaches its NetworkConfig. Pure; ``maker`` and ``mirror`` ask.

The rules of NetworkConfig (podnet_api.kni) make the datapath's kind and the ranges immutable.
"""

from __future__ import annotations

from msgspec import structs
from podnet_api import kni

from podnet_compat import names
from podnet_compat.legacy import Nad


def can_change(old: kni.NetworkConfigSpec, new: kni.NetworkConfigSpec) -> bool:
    """Whether ``old`` may become ``new`` in place: same kind of datapath, same ranges, same scope."""
    return _datapath(old) == _datapath(new) and old.ipam == new.ipam and old.uplink == new.uplink


def changed(old: kni.NetworkConfig, new: kni.NetworkConfig) -> kni.NetworkConfig:
    """``old`` with the content of ``new``."""
    rest = {key: value for key, value in old.metadata.annotations.items() if key != names.NOTES}
    metadata = structs.replace(old.metadata, annotations={**rest, **new.metadata.annotations})
    return kni.NetworkConfig(metadata=metadata, spec=new.spec)


def renamed(config: kni.NetworkConfig, name: str) -> kni.NetworkConfig:
    """``config`` under another name."""
    return structs.replace(config, metadata=structs.replace(config.metadata, name=name))


def content(spec: kni.NetworkConfigSpec) -> str:
    """A text that is equal for equal specs: every field in its order, and the only mappings sorted. JSON would not do:
    msgspec leaves a default out only where it is the very same object."""
    selector = spec.node_selector
    labels = structs.replace(selector, match_labels=_sorted(selector.match_labels)) if selector else None
    return repr(structs.replace(spec, sysctls=_sorted(spec.sysctls), node_selector=labels))


def _sorted(given: dict[str, str]) -> dict[str, str]:
    return dict(sorted(given.items()))


def differs(old: Nad, new: Nad) -> bool:
    """Whether there is anything in ``new`` to translate anew: not when only our own word on it changed."""
    return old.spec != new.spec or old.metadata.uid != new.metadata.uid or _annotations(old) != _annotations(new)


def _annotations(nad: Nad) -> dict[str, str]:
    return {key: value for key, value in nad.metadata.annotations.items() if key != names.TRANSLATION}


def _datapath(spec: kni.NetworkConfigSpec) -> object:
    """What of the datapath makes another wire: its kind, the name of a bridge, the mode of a macvlan."""
    bridge, macvlan = spec.bridge, spec.macvlan
    return (bridge and (bridge.name, bridge.vlan), macvlan and macvlan.mode)
