"""The list of networks: any text gives an answer, and what is encoded is read again."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from podnet_api import networks
from podnet_api.networks import Network

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=10,
)
KEYS = st.sampled_from(["podNetworkName", "podNetworkAttachmentName", "interfaceName", "isDefaultGW4", "x"])
ENTRIES = st.lists(st.dictionaries(KEYS, st.booleans() | st.text(max_size=20) | st.sampled_from(["blue", "red"])))


@given(st.text() | JSON.map(str))
def test_any_text_gives_networks_or_faults(text: str) -> None:
    found, faults = networks.check(text)
    assert found or faults or text.strip() == "[]"


def test_deep_nesting_is_a_fault() -> None:
    for text in ("[" * 100_000, "{" * 100_000, '[{"a":' * 50_000):
        found, faults = networks.check(text)
        assert not found
        assert [fault.path for fault in faults] == [networks.PATH]


@given(ENTRIES)
def test_any_list_of_objects_gives_networks_or_faults(items: list[dict[str, object]]) -> None:
    found, faults = networks.check(msgspec.json.encode(items).decode())
    assert len(found) == len(items) or faults
    assert all(fault.path.startswith(networks.PATH) for fault in faults)


NAME = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)


@given(st.lists(NAME, unique=True, max_size=networks.MAX_NETWORKS))
def test_what_is_encoded_is_read_again(named: list[str]) -> None:
    listed = tuple(Network(pod_network_name=name, interface_name=f"if{i}") for i, name in enumerate(named))
    found, faults = networks.check(networks.encode(listed))
    assert found == listed
    assert not [fault for fault in faults if "default" not in named]
