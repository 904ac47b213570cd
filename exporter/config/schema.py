"""The keys of the configuration, with their types and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from exporter.config.secrets import secret_fields
from exporter.config.types import (
    CanaryLabels,
    CanaryToken,
    Count,
    Duration,
    FileName,
    FilePattern,
    ListenAddresses,
    LogFormat,
    LogLevel,
    MetricPrefix,
    Names,
    Network,
    Port,
    RequestPath,
    SecretName,
    SecretText,
    ServiceName,
    UrlPath,
)
from exporter.model.secret import Secret
from exporter.publishing.document import SecretHeader, SecretUrl, TargetDocument
from exporter.publishing.refresh import RefreshRules


class Section(BaseModel):
    """A mapping of the configuration: unknown keys are errors, and no value is turned into another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Adds `x_file` beside every secret `x`: the loader takes it, so editors must offer it."""
        json_schema = handler.resolve_ref_schema(handler(core))
        properties = json_schema.get("properties", {})
        for name in secret_fields(cls):
            properties.setdefault(f"{name}_file", {"type": "string", "description": f"a file that holds `{name}`"})
            json_schema["required"] = [key for key in json_schema.get("required", ()) if key != name]
        return json_schema


class FamilyFilter(Section):
    """Which families of a collector reach the page: globs on the name; an empty `include` takes all."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class CollectorOptions(Section):
    """What every collector takes; its own fields come with a subclass."""

    enabled: bool = True
    interval: Duration | None = None
    timeout: Duration | None = None
    families: FamilyFilter = FamilyFilter()


class Collectors(Section):
    """The options of every collector, each under the collector's name."""


class Cycle(Section):
    """The tick, and the time by which a cycle publishes what it has."""

    interval: Duration = 15.0
    timeout: Duration = 10.0


class Policy(Section):
    """Networks that may, and that must not, be probed."""

    allow_networks: tuple[Network, ...] = ()
    deny_networks: tuple[Network, ...] = ()


class Kubernetes(Section):
    """Secrets that hold targets; without namespaces those of the daemon's own."""

    namespaces: Names = ()
    label_selector: str = "publishing-target=true"
    kubeconfig: FileName | None = None


class AlertmanagerSource(Section):
    """Where the configuration of an Alertmanager is: in a file, or in the Secret of its operator."""

    file: FileName | None = None
    secret: SecretName | None = None
    key: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> AlertmanagerSource:
        if (self.file is None) == (self.secret is None):
            raise ValueError("exactly one of file, secret is needed")
        if self.key is not None and self.secret is None:
            raise ValueError("key needs secret")
        return self


class Refresh(Section):
    """When the origins of targets are listed anew; `timeout` bounds one attempt."""

    interval: Duration = 300.0
    timeout: Duration = 30.0
    attempts: Count = 5
    backoff: Duration = 1.0
    backoff_max: Duration = 30.0
    manual_interval: Duration = 60.0

    def rules(self) -> RefreshRules:
        """The same for those that keep them."""
        return RefreshRules(**{name: getattr(self, name) for name in type(self).model_fields})


class Targets(Section):
    """Where alerts are published to."""

    static: tuple[TargetDocument, ...] = ()
    files: tuple[FilePattern, ...] = ()
    kubernetes: Kubernetes | None = None
    alertmanager: tuple[AlertmanagerSource, ...] = ()
    policy: Policy = Policy()
    refresh: Refresh = Refresh()


class ClientTls(Section):
    """How a remote is verified, and what the daemon shows it."""

    ca_file: Path | None = None
    server_name: str | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    @model_validator(mode="after")
    def _pair(self) -> ClientTls:
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("key_file needs cert_file")
        return self


class BasicAuth(Section):
    """A user and a password."""

    username: str
    password: SecretText


class DnsName(Section):
    """A name whose every address is a replica; asked over https if the service has a `tls` section."""

    name: str = Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$")
    port: Port
    path: RequestPath = "/metrics"


class Canary(Section):
    """An alert that is sent through a service only to see whether it comes back.

    `url` is the Alertmanager's, if that of the metrics does not tell it. Whoever brings it back shows the token.
    """

    token: CanaryToken
    url: SecretUrl | None = None
    labels: CanaryLabels = {}
    interval: Duration = 300.0
    timeout: Duration | None = Field(default=None, description="by default a minute, or a shorter interval")

    @field_validator("interval")
    @classmethod
    def _not_too_often(cls, interval: float) -> float:
        if interval < 1.0:
            raise ValueError("must be at least 1s")
        return interval

    @field_validator("timeout")
    @classmethod
    def _one_at_a_time(cls, timeout: float | None, info: ValidationInfo) -> float | None:
        if timeout is not None and timeout > info.data.get("interval", timeout):
            raise ValueError("must not exceed the interval")
        return timeout

    @property
    def lost_after(self) -> float:
        """Seconds after which one that is not back is lost."""
        return self.timeout or min(60.0, self.interval)


class PublishingService(Section):
    """A service that publishes alerts, and how to ask for its metrics.

    The order of the fields matters: a check that involves two of them stands at the later one.
    """

    name: ServiceName
    url: SecretUrl | None = None
    urls: tuple[SecretUrl, ...] | None = None
    dns: DnsName | None = Field(default=None, validate_default=True)
    dialect: str = Field(min_length=1, description="alert-history, alertmanager, prometheus, vmalert or a mapping file")
    target_map: dict[str, str] = {}
    headers: dict[str, SecretHeader] = {}
    basic_auth: BasicAuth | None = None
    bearer_token_file: Path | None = None
    tls: ClientTls | None = None
    canary: Canary | None = None

    @field_validator("urls")
    @classmethod
    def _some_urls(cls, urls: tuple[Secret, ...] | None) -> tuple[Secret, ...] | None:
        if urls == ():
            raise ValueError("needs at least one entry")
        return urls

    @field_validator("dns")
    @classmethod
    def _one_place(cls, dns: DnsName | None, info: ValidationInfo) -> DnsName | None:
        sound = {"url", "urls"} <= info.data.keys()
        given = [place for place in (info.data.get("url"), info.data.get("urls"), dns) if place is not None]
        if sound and len(given) != 1:
            raise ValueError("exactly one of url, urls, dns is needed")
        return dns

    @field_validator("bearer_token_file")
    @classmethod
    def _one_credential(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file is not None and info.data.get("basic_auth") is not None:
            raise ValueError("basic_auth is given too: keep one")
        return file


class Limits(Section):
    """What one collector, one page and one label value may take."""

    series_per_collector: Count = 50_000
    series_total: Count = 200_000
    label_value_bytes: Count = 1024


class History(Section):
    """Where earlier snapshots are kept, which families of them, and for how long."""

    path: str | None = "platform-exporter.db"
    series: tuple[str, ...] = ("publishing_*",)
    minutes: Duration = 7 * 86_400.0
    retention: Duration = 400 * 86_400.0


class Web(Section):
    """Where and how the daemon answers."""

    listen_addresses: ListenAddresses = ("127.0.0.1:9847",)
    telemetry_path: UrlPath = "/metrics"
    enable_lifecycle: bool = False
    config_file: str | None = None


class Log(Section):
    """What is logged, and how."""

    level: LogLevel = "info"
    format: LogFormat = "logfmt"


class Config(Section):
    """The whole configuration."""

    metric_prefix: MetricPrefix = "publishing"
    cycle: Cycle = Cycle()
    targets: Targets = Targets()
    publishing_services: tuple[PublishingService, ...] = ()
    collectors: Collectors = Collectors()
    plugins: Names = ()
    limits: Limits = Limits()
    history: History = History()
    web: Web = Web()
    log: Log = Log()


def config_model(options: Mapping[str, type[CollectorOptions]]) -> type[Config]:
    """The configuration with one key under `collectors` for each collector."""
    return _config_model(tuple(options.items()))


# Kept, because two configurations compare equal only if they are of the same class: a reload must see what changed.
@lru_cache(maxsize=8)
def _config_model(options: tuple[tuple[str, type[CollectorOptions]], ...]) -> type[Config]:
    fields: dict[str, Any] = {name: (kind, Field(default_factory=kind)) for name, kind in options}
    collectors = create_model("Collectors", __base__=Collectors, __doc__=Collectors.__doc__, **fields)
    return create_model(
        "Config",
        __base__=Config,
        __doc__=Config.__doc__,
        collectors=(collectors, Field(default_factory=collectors)),
    )
