"""podnet-webhook: what kube-apiserver would do itself if KEP-3698 were in it.

main            the program: caches, handlers, admission.serve
configurations  which requests reach it (pure)
pods            the list of networks of a Pod: checked, made explicit, turned into scheduling (pure)
affinity        required node affinity for networks (pure)
templates       warnings for pod templates whose list is wrong (pure)
objects         PodNetwork, PodNetworkAttachment, NetworkConfig, AttachmentConfig (pure)
"""
