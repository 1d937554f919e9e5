"""What an interface has on top of its kind (details.Extras): one module for each, listed in EXTRAS in order."""

from collections.abc import Sequence

from podnet_kni_server.datapath.extras.extra import Extra
from podnet_kni_server.datapath.extras.policy import Policy
from podnet_kni_server.datapath.extras.ports import Ports
from podnet_kni_server.datapath.extras.reception import Reception
from podnet_kni_server.datapath.extras.shaping import Shaping
from podnet_kni_server.datapath.extras.sysctls import Sysctls

EXTRAS: Sequence[Extra] = (Sysctls(), Reception(), Shaping(), Policy(), Ports())
