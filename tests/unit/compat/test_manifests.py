"""Files with legacy annotations become native manifests: what changes, what stays, and what is said with its place."""

from __future__ import annotations

import json
import textwrap

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from podnet_api import names, networks
from podnet_compat.manifests import document, rewrite
from podnet_compat.manifests.document import FileError

NAD = """\
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata:
  name: lab
spec:
  config: '{"type":"bridge","bridge":"br1","ipam":{"type":"host-local","subnet":"10.1.0.0/24"}}'
"""
WEB = """\
# The web.
apiVersion: apps/v1
kind: Deployment  # one
metadata:
    name: web
spec:
    template:
        metadata:
            labels: {app: "web"}
            annotations:
                # above
                k8s.v1.cni.cncf.io/networks: lab@x0  # fast
                # below
                other: 'y'
        spec:
            # the containers
            containers:
              - name: c   # main
                args: ["a", 'b']
                text: |
                    as it is
"""


def one(text: str, *, as_annotation: bool = False) -> rewrite.Rewritten:
    return rewrite.rewrite({"f.yaml": text}, "blue", as_annotation=as_annotation)


def objects(text: str) -> list[dict[str, object]]:
    return list(yaml.safe_load_all(text))


def test_a_template_keeps_comments_order_and_indentation() -> None:
    made = one(f"{NAD}---\n{WEB}")
    assert made.errors == ()
    after = made.texts["f.yaml"].partition("# The web.")[2]
    assert after == WEB.partition("# The web.")[2].replace(
        "                k8s.v1.cni.cncf.io/networks: lab@x0  # fast\n", ""
    ).replace(
        "            containers:",
        textwrap.indent(
            "networks:  # fast\n"
            "  - podNetworkName: default\n    interfaceName: eth0\n"
            "  - podNetworkName: blue.lab\n    interfaceName: x0\n",
            " " * 12,
        )
        + "            containers:",
    )


def test_nads_give_way_to_native_objects_of_the_file_s_owner() -> None:
    [network, config] = objects(one("# Mine.\n" + NAD).texts["f.yaml"])
    assert [network["kind"], config["kind"]] == ["PodNetwork", "NetworkConfig"]
    for made in (network, config):
        assert made["metadata"]["labels"] == {names.GENERATED_BY_LABEL: "translate"}  # type: ignore[index]
    assert one("# Mine.\n" + NAD).texts["f.yaml"].startswith("# Mine.\napiVersion")


def test_documents_without_anything_legacy_stay_byte_for_byte() -> None:
    other = "---\nkind:   Service\nspec: {a:    [1,2]}   # odd\n\n\n# end\n"
    text = f"%YAML 1.2\n{other}{other}---\n{NAD}{other}"
    made = one(text).texts["f.yaml"]
    assert made.startswith(f"%YAML 1.2\n{other}{other}---\napiVersion: multinetwork")
    assert made.endswith(other)
    assert one(other).texts["f.yaml"] == other


def test_what_a_pod_needs_comes_before_it_and_is_made_once() -> None:
    pod = "---\nkind: Pod\napiVersion: v1\nmetadata: {name: %s, annotations: {k8s.v1.cni.cncf.io/networks: '%s'}}\n"
    asked = '[{"name":"lab","mac":"12:30:00:00:00:02"},{"name":"lab","interface":"x1"}]'
    made = one(NAD + pod % ("a", asked) + pod % ("b", asked))
    kinds = [item["kind"] for item in objects(made.texts["f.yaml"])]
    assert kinds == [
        "PodNetwork",
        "NetworkConfig",
        "PodNetwork",
        "PodNetworkAttachment",
        "AttachmentConfig",
        "Pod",
        "Pod",
    ]
    assert objects(made.texts["f.yaml"])[4]["spec"] == {"mac": "12:30:00:00:00:02"}


def test_items_of_a_list() -> None:
    pod = {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": "a", "annotations": {names.LEGACY_NETWORKS_ANNOTATION: "lab"}},
    }
    text = yaml.safe_dump({"kind": "List", "items": [yaml.safe_load(NAD), pod]})
    [made] = objects(one(text).texts["f.yaml"])
    assert [item["kind"] for item in made["items"]] == ["PodNetwork", "NetworkConfig", "Pod"]  # type: ignore[attr-defined]
    assert made["items"][2]["metadata"] == {"name": "a"}  # type: ignore[index]
    assert [n["podNetworkName"] for n in made["items"][2]["spec"]["networks"]] == ["default", "blue.lab"]  # type: ignore[index]


def test_as_an_annotation() -> None:
    made = one(f"{NAD}---\n{WEB}", as_annotation=True)
    template = objects(made.texts["f.yaml"])[2]["spec"]["template"]  # type: ignore[index]
    listed = networks.parse(template["metadata"]["annotations"][names.NETWORKS_ANNOTATION])
    assert [n.pod_network_name for n in listed] == ["default", "blue.lab"]
    assert "networks" not in template["spec"]


def test_files_know_each_others_nads() -> None:
    made = rewrite.rewrite({"web.yaml": WEB, "nad.yaml": NAD}, "blue")
    assert made.errors == ()
    assert "blue.lab" in made.texts["web.yaml"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (WEB, "f.yaml:12:46: cannot translate Deployment blue/web: "
         "metadata.annotations[k8s.v1.cni.cncf.io/networks][0].name"),
        (WEB.replace("lab@x0", "lab,"), 'Invalid value: "lab,": ends in a comma'),
        (NAD.replace('"br1"', "br1"), "f.yaml:6:11: cannot accept NetworkAttachmentDefinition blue/lab: spec.config: "
         "Invalid value: is not JSON: line 1, column 27"),
        (NAD + "---\nkind: Pod\napiVersion: v1\nmetadata: {name: 5, annotations: {k8s.v1.cni.cncf.io/networks: lab}}\n",
         "f.yaml:10:11: cannot accept an object of kind 'Pod': metadata: Expected `str`"),
        ("base: &a {k8s.v1.cni.cncf.io/networks: lab}\nkind: Pod\napiVersion: v1\n"
         "metadata: {name: p, annotations: {<<: *a}}\n",
         "comes by a merge key"),
    ],
)  # fmt: skip
def test_refusals_say_where_and_change_nothing(text: str, said: str) -> None:
    whole = text + ("---\n" + NAD if "merge" in said else "")
    made = one(whole)
    assert any(said in error for error in made.errors), made.errors
    assert made.texts["f.yaml"] == whole


def test_an_alias_with_two_lists_is_refused() -> None:
    pod = "---\nkind: List\nitems:\n" + "".join(
        f"- {{kind: Pod, apiVersion: v1, spec: {spec}, "
        f"metadata: {{name: {name}, annotations: {{k8s.v1.cni.cncf.io/networks: {asked}}}}}}}\n"
        for name, asked, spec in (("a", "lab", "&s {}"), ("b", '"lab@x1"', "*s"))
    )
    assert "its spec is an alias" in one(NAD + pod).errors[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "cannot read f.yaml:1:5"),
        ("a: 1\n---\nb: {{ .Values.x }}\nc: [\n", "cannot read f.yaml:"),
        ("a: 1\na: 2\n", "cannot read f.yaml:2:1"),
        ("\ta: 1", "cannot read f.yaml:1:1"),
        ("a: 1\n---\nb: [{? {x: {y: z}} : 1}]\n", "cannot read f.yaml:2:1: a key must be text"),
    ],
)
def test_what_is_no_yaml(text: str, said: str) -> None:
    with pytest.raises(FileError) as caught:
        document.read("f.yaml", text)
    assert said in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from("abc:-#|>&*{}[]'\" \n\t,0?!%"), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = document.read("f.yaml", text)
    except FileError:
        return
    assert document.write(found) == text
    assert one(text).texts["f.yaml"] == text


HEAD = "kind: Pod\napiVersion: v1\nmetadata:\n  name: a\n"
ASKED = "  annotations:\n    k8s.v1.cni.cncf.io/networks: lab"
LISTED = (
    "  networks:{}\n  - podNetworkName: default\n    interfaceName: eth0\n"
    "  - podNetworkName: blue.lab\n    interfaceName: net1\n"
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"{HEAD}{ASKED}\nspec:\n", f"{HEAD}spec:\n{LISTED.format('')}"),
        (f"{HEAD}{ASKED}\n", f"{HEAD}spec:\n{LISTED.format('')}"),
        (f"{HEAD}{ASKED} # only\n    # below\nspec:\n  # first\n  a: 1\n# end\n",
         f"{HEAD}spec:\n  # first\n  # below\n{LISTED.format('  # only')}  a: 1\n# end\n"),
        (f"{HEAD}  annotations:\n    z: '1'\n    k8s.v1.cni.cncf.io/networks: |\n      lab\n  labels: {{}}  # l\n"
         "# b\nspec:\n  a: 1\n",
         f"{HEAD}  annotations:\n    z: '1'\n  labels: {{}}  # l\n# b\nspec:\n{LISTED.format('')}  a: 1\n"),
        (f"{HEAD}{ASKED} # lost\nspec: {{a: 1}}\n",
         f"{HEAD}spec: {{networks: [{{podNetworkName: default, interfaceName: eth0}}, "
         "{podNetworkName: blue.lab, interfaceName: net1}], a: 1}\n"),
    ],
)  # fmt: skip
def test_where_comments_go(before: str, after: str) -> None:
    made = rewrite.rewrite({"nad.yaml": NAD, "f.yaml": before}, "blue")
    assert made.errors == ()
    assert made.texts["f.yaml"] == after


def test_json_stays_json() -> None:
    meta = {"name": "a", "annotations": {names.LEGACY_NETWORKS_ANNOTATION: "lab"}}
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": {"containers": []}}
    made = rewrite.rewrite({"nad.yaml": NAD, "f.json": json.dumps(pod), "g.json": json.dumps(pod, indent=4)}, "blue")
    assert list(json.loads(made.texts["f.json"])["spec"]) == ["networks", "containers"]
    assert made.texts["f.json"].count("\n") == 1
    assert json.loads(made.texts["g.json"])["metadata"] == {"name": "a"}
    [listed] = objects(rewrite.rewrite({"n.json": json.dumps(yaml.safe_load(NAD))}, "blue").texts["n.json"])
    assert [item["kind"] for item in listed["items"]] == ["PodNetwork", "NetworkConfig"]  # type: ignore[attr-defined]


def test_other_systems_give_way_too() -> None:
    danm = {"apiVersion": "danm.io/v1", "kind": "DanmNet", "metadata": {"name": "m"},
            "spec": {"NetworkID": "m", "NetworkType": "macvlan", "Options": {"host_device": "eth1"}}}  # fmt: skip
    pod = f'---\n{HEAD}  annotations:\n    danm.io/interfaces: \'[{{"network":"m"}}]\'  # one\nspec: {{}}\n'
    made = one(yaml.safe_dump(danm) + pod)
    assert made.errors == ()
    assert [item["kind"] for item in objects(made.texts["f.yaml"])] == ["PodNetwork", "NetworkConfig", "Pod"]
    assert "danm.io" not in made.texts["f.yaml"].replace("danm.io/v1", "")
    assert made.texts["f.yaml"].endswith("networks:  # one\n  - podNetworkName: blue.m\n    interfaceName: eth0\n")
    bad = one(yaml.safe_dump(danm) + pod.replace('"network"', '"nonsense"'))
    assert bad.errors[0].startswith(
        "f.yaml:16:25: cannot accept Pod blue/a: metadata.annotations[danm.io/interfaces][0]"
    )
