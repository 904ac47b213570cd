"""The configuration under which the demo runs: short intervals, so that a visitor sees things change."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from exporter.demo.receivers import CA_FILE

_TEXT = """\
cycle: {{interval: 5s, timeout: 4s}}
targets:
  static:
    - {{name: rootly-incidents, type: rootly, url: "http://127.0.0.1:{ports.rootly}/v1/incidents"}}
    - {{name: slack-oncall, type: slack, url: "http://127.0.0.1:{ports.slack}/services/T0DEMO/B0DEMO/demo-oncall"}}
    - {{name: slack-old-team, type: slack, url: "http://127.0.0.1:{ports.revoked}/services/T0DEMO/B0DEMO/demo-removed"}}
    - {{name: pagerduty-primary, type: pagerduty, url: "http://127.0.0.1:{ports.pagerduty}/v2/enqueue"}}
    - {{name: webhook-audit, type: webhook, url: "https://127.0.0.1:{ports.webhook}/alerts"}}
    - {{name: webhook-partner, type: webhook, url: "http://127.0.0.1:{ports.partner}/alerts"}}
    - {{name: webhook-staging, type: webhook, url: "https://127.0.0.1:{ports.webhook}/staging", enabled: false}}
  files: [{files}]
  alertmanager: [{{file: {alertmanager}}}]
  refresh: {{interval: 30s, manual_interval: 10s}}
collectors:
  health:
    interval: 10s
    timeout: 4s
    probe_timeout: 3s
    tls: {{ca_file: {ca_file}}}
"""

_SERVICE = """\
publishing_services:
  - {{name: alert-history, url: "http://127.0.0.1:{port}/metrics", dialect: alert-history}}
"""

_LIST = "billing.yaml"
_TARGETS = """\
- {{name: webhook-billing, type: webhook, url: "https://127.0.0.1:{ports.webhook}/billing"}}
"""
_ALERTMANAGER = "alertmanager.yml"
_RECEIVERS = """\
receivers:
  - name: platform
    slack_configs: [{{api_url: "http://127.0.0.1:{ports.slack}/services/T0DEMO/B0DEMO/demo-platform", channel: alerts}}]
    pagerduty_configs: [{{url: "http://127.0.0.1:{ports.pagerduty}/v2/enqueue", routing_key: demo}}]
  - name: forgotten
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the receivers listen."""

    rootly: int
    slack: int
    revoked: int
    pagerduty: int
    webhook: int
    partner: int


def config_text(ports: Ports, folder: Path) -> str:
    """The part of the configuration that watches the receivers, and names the places that `write_files` fills."""
    return _TEXT.format(
        ports=ports,
        ca_file=_quoted(CA_FILE),
        files=_quoted(folder / _LIST),
        alertmanager=_quoted(folder / _ALERTMANAGER),
    )


def write_files(ports: Ports, folder: Path) -> None:
    """Targets beside the configuration: a list to edit while the demo runs, and receivers of an Alertmanager."""
    (folder / _LIST).write_text(_TARGETS.format(ports=ports))
    (folder / _ALERTMANAGER).write_text(_RECEIVERS.format(ports=ports))


def watched_service(port: int) -> str:
    """The part of the configuration that watches the publishing service."""
    return _SERVICE.format(port=port)


def _quoted(path: Path) -> str:
    # A JSON string is a YAML string; in a configuration a lone dollar is written as two.
    return json.dumps(str(path)).replace("$", "$$")
