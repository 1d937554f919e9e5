"""What an interface has on top of its kind (details.Extras): one module for each, listed in EXTRAS in order."""

from collections.abc import Sequence

from podnet_kni_server.datapath.extras.extra import Extra

EXTRAS: Sequence[Extra] = ()
