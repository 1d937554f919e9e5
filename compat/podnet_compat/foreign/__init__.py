"""Other multi-network systems, live: ``--systems danm,genie,...``.

``watching`` knows which of their objects there are, ``reading`` finds those that a translator asks for, ``webhook``
answers admission of Pods, ``following`` keeps networks true, and both write by ``making``. The translators themselves
are in ``podnet_compat.systems`` and know nothing of an API server.
"""
