"""Where each of Alertmanager's integrations sends to, as far as its configuration tells."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from exporter.model.errors import Failure
from exporter.model.reason import Flaw
from exporter.publishing.complaints import Flawed

Contents = Callable[[str], str]

_WITHHELD = "<secret>"  # what Alertmanager's API shows in place of a secret


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The key of an integration that holds its URL, the global key that is its default, and the vendor's address."""

    key: str = ""
    shared: str = ""
    vendor: str = ""


# Keys and addresses as in Alertmanager 0.33 and before.
ENDPOINTS: Mapping[str, Endpoint] = {
    "discord": Endpoint("webhook_url"),
    "email": Endpoint("smarthost", "smtp_smarthost"),
    "incidentio": Endpoint("url"),
    "jira": Endpoint("api_url", "jira_api_url"),
    "mattermost": Endpoint("webhook_url", "mattermost_webhook_url"),
    "msteams": Endpoint("webhook_url"),
    "msteamsv2": Endpoint("webhook_url"),
    "opsgenie": Endpoint("api_url", "opsgenie_api_url", "https://api.opsgenie.com/"),
    "pagerduty": Endpoint("url", "pagerduty_url", "https://events.pagerduty.com/v2/enqueue"),
    "pushover": Endpoint(vendor="https://api.pushover.net/1/messages.json"),  # its `url` is a link in the message
    "rocketchat": Endpoint("api_url", "rocketchat_api_url", "https://open.rocket.chat/"),
    "slack": Endpoint("api_url", "slack_api_url"),
    "sns": Endpoint("api_url"),
    "telegram": Endpoint("api_url", "telegram_api_url", "https://api.telegram.org"),
    "victorops": Endpoint(
        "api_url", "victorops_api_url", "https://alert.victorops.com/integrations/generic/20131114/alert/"
    ),
    "webex": Endpoint("api_url", "webex_api_url", "https://webexapis.com/v1/messages"),
    "webhook": Endpoint("url"),
    "wechat": Endpoint("api_url", "wechat_api_url", "https://qyapi.weixin.qq.com/cgi-bin/"),
}
_SLACK_APP = "https://slack.com/api/chat.postMessage"
_REGION = re.compile(r"[a-z]{2,}(-[a-z0-9]+){1,4}")
_MAIL_PORTS = {"smtp": 25, "smtps": 465, "submissions": 465, "submission": 587}


@dataclass(frozen=True, slots=True)
class Settings:
    """One mapping of the configuration. A text may stand in it, or in the file that its `_file` form names."""

    values: Mapping[str, Any]
    contents: Contents

    def text(self, key: str) -> str | None:
        """The text of a key; None if neither it nor its `_file` form is set."""
        value = self._plain(key)
        if value is not None or (path := self._plain(f"{key}_file")) is None:
            return value
        try:
            return self.contents(path).strip()
        except Failure:
            raise Flawed(Flaw.MISSING, f"{key}_file: the file cannot be read") from None

    def section(self, key: str) -> Settings | None:
        """A mapping in this mapping; None if it is not set."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise Flawed(Flaw.FIELD, f"{key}: expected a mapping")
        return Settings(value, self.contents)

    def _plain(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is None or value == "":
            return None
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise Flawed(Flaw.FIELD, f"{key}: expected a text")
        if value == _WITHHELD:
            raise Flawed(Flaw.FIELD, f"{key}: withheld by Alertmanager's API; its configuration file has it")
        return str(value)


def address(kind: str, own: Settings, shared: Settings) -> str | None:
    """The URL an integration sends to; None if only Alertmanager can tell, as with one made of alert labels."""
    endpoint = ENDPOINTS[kind]
    url = own.text(endpoint.key)
    if url is None and kind == "slack" and _slack_token(own, shared):
        url = own.text("app_url") or shared.text("slack_app_url") or _SLACK_APP
    url = url or shared.text(endpoint.shared) or endpoint.vendor
    if not url and kind == "sns":
        return _regional(own)
    if not url:
        raise Flawed(Flaw.MISSING, f"{endpoint.key}: not given, and no default for all receivers")
    if "{{" in url:
        return None
    return _mail(url, endpoint.key) if kind == "email" else url


def headers(kind: str, own: Settings, shared: Settings) -> dict[str, str]:
    """The credentials of an integration that are sent as a header whatever the alert is."""
    client = own.section("http_config") or shared.section("http_config")
    header = _authorization(client) if client is not None else None
    if header is None and kind == "slack" and (token := _slack_token(own, shared)):
        header = f"Bearer {token}"
    return {"Authorization": header} if header else {}


def _slack_token(own: Settings, shared: Settings) -> str | None:
    if (token := own.text("app_token")) is not None:
        return token
    client = own.section("http_config")
    if own.text("api_url") is not None or (client is not None and client.section("authorization") is not None):
        return None
    return shared.text("slack_app_token")


def _authorization(client: Settings) -> str | None:
    if (given := client.section("authorization")) is not None:
        credentials = given.text("credentials")
        return f"{given.text('type') or 'Bearer'} {credentials}" if credentials else None
    if (basic := client.section("basic_auth")) is not None:
        pair = f"{basic.text('username') or ''}:{basic.text('password') or ''}"
        return "Basic " + b64encode(pair.encode(errors="replace")).decode()
    token = client.text("bearer_token")
    return f"Bearer {token}" if token else None


def _regional(own: Settings) -> str | None:
    """Amazon's address for the region; None if the region comes from Alertmanager's surroundings."""
    signature = own.section("sigv4")
    region = signature.text("region") if signature is not None else None
    for key in ("topic_arn", "target_arn"):
        parts = (own.text(key) or "").split(":")
        region = region or (parts[3] if len(parts) > 3 else None)
    if region is None or not _REGION.fullmatch(region):
        return None
    return f"https://sns.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}/"


def _mail(smarthost: str, key: str) -> str:
    host, _, port = smarthost.rpartition(":")
    url = f"smtp://{host}:{_MAIL_PORTS.get(port, port)}"
    try:
        parts = urlsplit(url)
        sound = parts.netloc == url.removeprefix("smtp://") and parts.hostname and parts.port and "@" not in host
    except ValueError:
        sound = False
    if not sound or not smarthost.isprintable() or " " in smarthost:
        raise Flawed(Flaw.FIELD, f"{key}: expected host:port")
    return url
