"""Whatever a plugin or a configuration says: an error of ours, or a value that can be written again."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from podnet_kni_server.cni import config, result
from podnet_kni_server.cni.errors import ConfigError, RequestError, ResultError

KEYS = st.sampled_from(
    [
        *("cniVersion", "cniVersions", "name", "type", "plugins", "ipam", "capabilities", "disableCheck", "prevResult"),
        *("interfaces", "ips", "routes", "dns", "ip4", "ip6", "ip", "address", "gateway", "interface", "version"),
        *("dst", "gw", "mac", "mtu", "sandbox", "nameservers"),
    ]
)
TEXTS = st.sampled_from(["", "1.0.0", "0.2.0", "1.1.0", "10.0.0.1/24", "fd00::1/64", "eth0", "a/b"]) | st.text(
    max_size=8
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=6)
)
FEW = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FEW
@given(JSON, st.sampled_from(config.VERSIONS))
def test_results(value: object, version: str) -> None:
    try:
        found = result.decode(json.dumps(value), version, "x")
    except ResultError:
        return
    for other in config.VERSIONS:
        again = result.decode(json.dumps(result.encode(found, other)), other, "x")
        assert again.dns == found.dns


@FEW
@given(JSON)
def test_configurations(value: object) -> None:
    text = json.dumps(value)
    try:
        config.reference(text, "a")
        found = config.parse(text, "a")
    except ConfigError:
        return
    assert found.version in config.VERSIONS
    assert found.plugins


@FEW
@given(st.binary(max_size=60))
def test_bytes(text: bytes) -> None:
    try:
        result.decode(text, "1.0.0", "x")
    except ResultError:
        return


@FEW
@given(st.text(max_size=20))
def test_names(text: str) -> None:
    for check, error in ((config.check_interface, RequestError), (config.check_container, RequestError)):
        try:
            check(text)
        except error:
            continue
        assert "/" not in text
