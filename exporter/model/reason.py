"""The closed sets: the same words in log line, label, JSON and page."""

from enum import StrEnum


class Outcome(StrEnum):
    """How one run of one collector ended."""

    OK = "ok"
    PARTIAL = "partial"
    NODATA = "nodata"
    TIMEOUT = "timeout"
    ERROR = "error"
    BACKOFF = "backoff"
    DISABLED = "disabled"

    @property
    def up(self) -> bool:
        """Whether the collector did its job, even if there was little or nothing to report."""
        return self in (Outcome.OK, Outcome.PARTIAL, Outcome.NODATA)


class Reason(StrEnum):
    """Why a run, or a probe, did not end well."""

    TIMEOUT = "timeout"
    CONNECT = "connect"
    DNS = "dns"
    TLS = "tls"
    AUTH = "auth"
    HTTP_STATUS = "http_status"
    RATE_LIMITED = "rate_limited"
    REDIRECT = "redirect"
    TOO_LARGE = "too_large"
    DECODE = "decode"
    PARSE = "parse"
    LIMIT = "limit"
    PARTIAL = "partial"
    EXEC = "exec"
    CONFIG = "config"
    INTERNAL = "internal"
    OVERRUN = "overrun"


class Drop(StrEnum):
    """Why a single sample did not make it into the snapshot."""

    VALUE = "value"
    LABEL = "label"
    FAMILY = "family"
    DUPLICATE = "duplicate"
    BUDGET = "budget"


class Flaw(StrEnum):
    """Why a document that should describe a target does not."""

    MISSING = "missing"
    ENCODING = "encoding"
    SYNTAX = "syntax"
    FIELD = "field"
    POLICY = "policy"
    DUPLICATE = "duplicate"


class Storage(StrEnum):
    """Why something could not be kept, or what was kept cannot be read."""

    FULL = "full"
    BUSY = "busy"
    READONLY = "readonly"
    CORRUPT = "corrupt"
    GONE = "gone"
    IO = "io"
    VERSION = "version"
