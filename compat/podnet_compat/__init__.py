"""compat: legacy multi-network forms onto the podnet API.

Pure (no asyncio, HTTP or API access): ``annotation``, ``nad``, ``ipam``, ``pod`` translate; ``addresses``,
``jsontext``, ``reader`` and ``names`` serve them. The rest runs them: ``main`` starts ``webhook`` (Pods and
NADs at admission), ``mirror`` (NADs to native objects) and ``collector`` (what nothing uses any more);
``cli`` translates files.
"""
