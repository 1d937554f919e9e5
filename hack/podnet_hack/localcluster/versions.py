"""Every version that the local cluster is made of; caches are keyed by them."""

KUBERNETES = "1.36.3"
CONTAINERD = "2.3.7"
ETCD = "3.6.16"
COREDNS = "1.15.0"
CNI_PLUGINS = "1.9.1"
LIBCNI = "1.3.0"  # what containerd 2.3 has; for a test that plays the runtime
KIND = "0.33.0"
CERT_MANAGER = "1.11.5"  # the last whose programs are in the module itself; later ones the module proxy does not have

# What kind 0.33 itself would take; used where an engine has it or can pull it.
KINDEST_NODE = "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"

NODE_SUITE = "bookworm"  # systemd 252; trixie's 257 refuses cgroup v1
IMAGE_SUITE = "trixie"  # Python 3.13
ENGINE_SUITE = "trixie"  # docker.io 26.1; bookworm's 20.10 cannot run privileged containers without CAP_SYS_RESOURCE
