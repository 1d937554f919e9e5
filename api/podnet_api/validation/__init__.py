"""What is wrong with an object beyond what its CRD can say: every fault, with its field path. Pure.

The webhook refuses objects by these functions, the controller sets ParamsReady by them for objects that
came another way. What the CRDs' own rules (CEL) check as well is checked here again, because programs
call these functions before there is an API server.
"""

from podnet_api.validation.attachment_config import attachment_config_faults
from podnet_api.validation.network_config import network_config_faults
from podnet_api.validation.references import pod_network_attachment_faults, pod_network_faults

__all__ = [
    "attachment_config_faults",
    "network_config_faults",
    "pod_network_attachment_faults",
    "pod_network_faults",
]
