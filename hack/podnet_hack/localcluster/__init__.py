"""A real kind cluster, also on a machine without a container engine or a registry.

Read cluster.py first: it says what happens in which order. Each other module makes one thing:
versions (what is pinned), components (Go programs), engine (a Docker daemon of our own),
nodefs and nodeimage (kindest/node's stand-in), config (kind's, kubeadm's and the scheduler's).
"""
