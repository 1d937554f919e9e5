"""The kubelet's pod-resources API: which devices it gave to which Pod. See datapath.allocation."""

from podnet_kni_server.podresources.kubelet import Kubelet

__all__ = ["Kubelet"]
