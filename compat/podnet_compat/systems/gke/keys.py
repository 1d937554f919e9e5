"""GKE's names: group, annotations, the default network. Pure."""

from __future__ import annotations

GROUP = "networking.gke.io"
INTERFACES = f"{GROUP}/interfaces"
DEFAULT_INTERFACE = f"{GROUP}/default-interface"
SOURCE_IP = f"{GROUP}/disable-source-ip-validation"
SOURCE_MAC = f"{GROUP}/disable-source-mac-validation"
MULTICAST = f"{GROUP}/enable-multicast"
POD_IPS = f"{GROUP}/pod-ips"
INTERFACE_STATUS = f"{GROUP}/interface-status"
STATUS = (POD_IPS, INTERFACE_STATUS)
"""Written by GKE on running Pods."""
POD_KEYS = (INTERFACES, DEFAULT_INTERFACE, SOURCE_IP, SOURCE_MAC, MULTICAST, *STATUS)
RESOURCES = "networking.gke.io.networks/"
"""Prefix of the extended resources by which GKE schedules."""
DEFAULTS = ("default", "pod-network")
"""Names of the cluster's default network."""
