"""The scheduler extender: places Pods by what the nodes have left of their networks."""
