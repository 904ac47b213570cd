"""The configuration under which the demo runs: short intervals, so that a visitor sees things change."""

from __future__ import annotations

import json
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the receivers listen."""

    rootly: int
    slack: int
    revoked: int
    pagerduty: int
    webhook: int
    partner: int


def config_text(ports: Ports) -> str:
    """The part of the configuration that watches the receivers."""
    # A JSON string is a YAML string; in a configuration a lone dollar is written as two.
    ca_file = json.dumps(str(CA_FILE)).replace("$", "$$")
    return _TEXT.format(ports=ports, ca_file=ca_file)


def watched_service(port: int) -> str:
    """The part of the configuration that watches the publishing service."""
    return _SERVICE.format(port=port)
