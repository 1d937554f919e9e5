"""podnet-controller: conditions, the network ``default``, in-use finalizers, and what vanished nodes left.

Layers, lowest first:

conditions  what Ready and ParamsReady of an object are (pure)
usage       who still needs an object (pure)
store       the objects of our four kinds, as last seen
queue       keys of objects to look at, one at a time, again after failure
reconcile   looks at one object: default, finalizer, conditions, Events
garbage     IPBlocks and NodeNetworks of nodes that are no more
operator    kopf: events of our kinds into store and queue
main        the program
"""
