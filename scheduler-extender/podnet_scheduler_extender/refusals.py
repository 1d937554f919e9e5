"""Why a node or a Pod is refused: one table of constant sentences.

Pure. ``filter`` picks from it, ``explain`` and the metrics use the words. kube-scheduler shows the
sentences as a histogram over the nodes (``0/4 nodes are available: 3 no addresses left ...``), so they
are few and never name an object; ``explain`` adds the names.
"""

from __future__ import annotations

from dataclasses import dataclass

from podnet_api import reasons


@dataclass(frozen=True)
class Refusal:
    """One reason. ``text`` is for kube-scheduler's message, ``reason`` the word for the Pod's condition.

    ``static``: evicting Pods from the node would not help (FailedAndUnresolvableNodes).
    """

    text: str
    reason: str
    static: bool

    @property
    def advice(self) -> str:
        """What to do about it."""
        return reasons.ADVICE[self.reason]


INVALID_LIST = Refusal("the Pod's list of networks is invalid", reasons.INVALID_NETWORKS, True)
NAMED_TWICE = Refusal("network named twice", reasons.DUPLICATE_NETWORK, True)
NO_NETWORK = Refusal("PodNetwork does not exist", reasons.NETWORK_NOT_FOUND, True)
DISABLED = Refusal("PodNetwork is disabled", reasons.NETWORK_DISABLED, True)
NOT_READY = Refusal("PodNetwork is not ready", reasons.NETWORK_NOT_READY, True)
NO_ATTACHMENT = Refusal("PodNetworkAttachment does not exist", reasons.ATTACHMENT_NOT_FOUND, True)
ATTACHMENT_NOT_READY = Refusal("PodNetworkAttachment is not ready", reasons.NETWORK_NOT_READY, True)
NO_PARAMETERS = Refusal("parameters of the network do not exist", reasons.PARAMS_NOT_FOUND, True)
BAD_PARAMETERS = Refusal("parameters of the network are invalid", reasons.PARAMS_INVALID, True)
NOT_ON_NODE = Refusal("networks not available on the node", reasons.NO_NODE_WITH_NETWORKS, True)
ADDRESS_ELSEWHERE = Refusal("static address belongs to another node", reasons.NO_ADDRESSES_LEFT, True)
ADDRESS_TAKEN = Refusal("static address in use by another Pod", reasons.NO_ADDRESSES_LEFT, False)
NO_ADDRESSES = Refusal("no addresses left in the network's pool", reasons.NO_ADDRESSES_LEFT, False)
NO_ATTACHMENTS = Refusal("no attachments left on the node", reasons.NO_ATTACHMENTS_LEFT, False)

REASONS = (
    INVALID_LIST, NAMED_TWICE, NO_NETWORK, DISABLED, NOT_READY, NO_ATTACHMENT, ATTACHMENT_NOT_READY, NO_PARAMETERS,
    BAD_PARAMETERS, NOT_ON_NODE, ADDRESS_ELSEWHERE, ADDRESS_TAKEN, NO_ADDRESSES, NO_ATTACHMENTS,
)  # fmt: skip
"""Every refusal that there is."""
