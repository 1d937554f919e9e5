"""Other multi-network systems onto the podnet API, each by a pure translator of its own.

``base`` has what all share, ``registry`` what a system is, ``translate`` runs every system over the objects of a
directory or a cluster. To add one: a module with a ``SYSTEM``, and its entry in ``catalogue``.
"""

from podnet_compat.systems.catalogue import SYSTEMS
from podnet_compat.systems.setting import FORM as SETTING
from podnet_compat.systems.setting import HELP as SETTING_HELP
from podnet_compat.systems.setting import SettingError
from podnet_compat.systems.setting import read as settings
from podnet_compat.systems.translate import Outcome, reader_of, translate_objects

__all__ = [
    "SETTING",
    "SETTING_HELP",
    "SYSTEMS",
    "Outcome",
    "SettingError",
    "reader_of",
    "settings",
    "translate_objects",
]
