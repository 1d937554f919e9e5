"""Moving a cluster from Multus to podnet, namespace by namespace, and back.

``inventory`` sorts what a cluster or a directory holds, ``planning`` says of each object what becomes of it, ``steps``
which writes move a namespace; these, ``multus``, ``kept``, ``takeover`` and ``report`` are pure. ``reading`` and
``work`` do the I/O, ``command`` is the command line. The webhook takes Pods over by ``takeover`` and ``kept``.

Who attaches a Pod stands on the Pod from its creation on: a Pod that has the list of podnet has not the annotation
that Multus reads (DESIGN.md, "Beside Multus").
"""
