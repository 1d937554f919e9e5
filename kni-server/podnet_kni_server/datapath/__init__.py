"""The datapath: what makes interfaces in Pods and networks on the node. See interface.Datapath."""
