"""Where tests find the real servers: a missing one skips with its reason, and fails where all must be there."""

import os
import shutil

import pytest


def program(name: str) -> str:
    """The path of a program; skips the test without it, or fails it when REQUIRE_SERVERS is set."""
    path = shutil.which(name)
    if path is None:
        message = f"{name} is not installed (Debian: apt-get install {_PACKAGE.get(name, name)})"
        if os.environ.get("REQUIRE_SERVERS"):
            pytest.fail(message)
        pytest.skip(message)
    return path


_PACKAGE = {"promtool": "prometheus", "amtool": "prometheus-alertmanager"}
