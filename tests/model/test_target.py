"""What people may see of a target."""

import pytest

from exporter.model.secret import Secret
from exporter.model.target import Target


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.example.org/services/T0/B1/key?x=1#y", "https://hooks.example.org"),
        ("https://user:password@example.org:8443/path", "https://example.org:8443"),
        ("http://[::1]:80/secret", "http://[::1]:80"),
        ("http:///secret", "http://"),
    ],
)
def test_scheme_host_and_port_are_all_of_a_url_that_is_shown(url: str, shown: str) -> None:
    target = Target("a", "slack", "slack", Secret(url), headers={"X-Key": Secret("header-secret")})
    assert target.shown == shown
    assert "key" not in repr(target)
    assert "header-secret" not in repr(target)
