"""The KNI server: attaches Pods to their networks on one node."""
