"""Where tests find the real servers: a missing one skips with its reason, and fails where all must be there."""

import os
import shutil
import subprocess

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


def tracer() -> str:
    """The path of strace; skips the test where no process may be traced."""
    strace = program("strace")
    with subprocess.Popen(["sleep", "60"]) as watched:
        # To be attached to is forbidden in more places than to be started.
        attach = [strace, "-o", "/dev/null", "-p", str(watched.pid)]
        with subprocess.Popen(attach, stderr=subprocess.PIPE, text=True) as tracing:
            assert tracing.stderr is not None
            said = tracing.stderr.readline()
            tracing.terminate()
        watched.kill()
    if "attached" not in said:
        pytest.skip("processes cannot be traced here")
    return strace


_PACKAGE = {
    "promtool": "prometheus",
    "amtool": "prometheus-alertmanager",
    "kubectl": "kubernetes-client",
    "mkfs.ext4": "e2fsprogs",
}
