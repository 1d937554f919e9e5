"""The kinds that carry a list of networks, and where in them it stands. Pure.

KEP-3698 puts the field into PodSpec, so every kind with a pod template has it too.
"""

from __future__ import annotations

from dataclasses import dataclass

from podnet_api import names

MARK = names.GROUP.encode() + b"/network"
"""Bytes without which an object has neither our list nor our status."""


@dataclass(frozen=True)
class Carrier:
    """One resource. ``template`` leads from the object to the Pod or pod template that is in it."""

    group: str
    version: str
    plural: str
    kind: str
    template: tuple[str, ...] = ("spec", "template")
    in_one_piece: bool = False
    """Whether a list of them is rewritten as a whole: a StatefulSet holds an array (volumeClaimTemplates) whose
    elements begin like the items of a list."""

    @property
    def is_pod(self) -> bool:
        """Whether it is the Pod itself."""
        return not self.template

    @property
    def field(self) -> str:
        """Path of the field, as a user sees it."""
        return ".".join((*self.template, "spec", "networks"))


_ALL = (
    Carrier("", "v1", "pods", "Pod", ()),
    Carrier("", "v1", "podtemplates", "PodTemplate", ("template",)),
    Carrier("", "v1", "replicationcontrollers", "ReplicationController"),
    Carrier("apps", "v1", "deployments", "Deployment"),
    Carrier("apps", "v1", "replicasets", "ReplicaSet"),
    Carrier("apps", "v1", "statefulsets", "StatefulSet", in_one_piece=True),
    Carrier("apps", "v1", "daemonsets", "DaemonSet"),
    Carrier("batch", "v1", "jobs", "Job"),
    Carrier("batch", "v1", "cronjobs", "CronJob", ("spec", "jobTemplate", "spec", "template")),
)
CARRIERS = {(one.group, one.version, one.plural): one for one in _ALL}
POD = _ALL[0]
