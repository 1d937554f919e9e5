"""What can go wrong with a CNI plugin.

DatapathError
└── CniError            carries the specification's `code`, and the plugin's type where one is to blame
    ├── ConfigError     the network configuration cannot be used; names every fault
    ├── RequestError    a Pod asks for what the plugins cannot do
    ├── PluginError     a plugin answered with an error of its own
    │   └── TryLaterError  ... code 11: the same call may succeed later
    └── ResultError     a plugin's answer cannot be understood
"""

import enum

from podnet_api import reasons

from podnet_kni_server.datapath.errors import DatapathError


class Code(enum.IntEnum):
    """Error codes (CNI specification 1.1.0, section "Error"); 100 and above are the plugins' own."""

    INCOMPATIBLE_VERSION = 1
    UNSUPPORTED_FIELD = 2
    UNKNOWN_CONTAINER = 3
    INVALID_ENVIRONMENT = 4
    IO_FAILURE = 5
    DECODING_FAILURE = 6
    INVALID_CONFIG = 7
    TRY_AGAIN_LATER = 11
    UNAVAILABLE = 50
    LIMITED_CONNECTIVITY = 51
    PLUGIN = 100


class CniError(DatapathError):
    """A CNI operation failed. `code` is one of Code or, from 100 on, the plugin's own; 0: it gave none."""

    def __init__(self, message: str, code: int = 0, plugin: str = "", reason: str = reasons.ATTACH_FAILED) -> None:
        super().__init__(message, reason)
        self.code = code
        self.plugin = plugin


class ConfigError(CniError):
    """The network configuration cannot be used."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Code.INVALID_CONFIG, reason=reasons.PARAMS_INVALID)


class RequestError(CniError):
    """A Pod asks for what the plugins cannot do."""

    def __init__(self, message: str, plugin: str = "") -> None:
        super().__init__(message, Code.UNSUPPORTED_FIELD, plugin, reasons.PARAMS_UNSUPPORTED)


class PluginError(CniError):
    """A plugin answered with an error of its own, hung, or could not be started."""


class TryLaterError(PluginError):
    """A plugin asks to be called again later (code 11)."""


class ResultError(CniError):
    """A plugin's answer cannot be understood."""

    def __init__(self, message: str, plugin: str = "") -> None:
        super().__init__(message, Code.DECODING_FAILURE, plugin)
