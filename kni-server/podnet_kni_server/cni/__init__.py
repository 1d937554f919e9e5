"""Datapath `cni`: CNI plugins, run as a container runtime runs them (CNI specification 0.1.0 to 1.1.0)."""
