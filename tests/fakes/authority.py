"""Makes certificates with openssl, as an operator would."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.programs import program

LOOPBACK = "DNS:localhost,IP:127.0.0.1,IP:::1"
_EC = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


@dataclass(frozen=True)
class Pair:
    cert: Path
    key: Path

    @property
    def texts(self) -> tuple[str, str]:
        return self.cert.read_text(), self.key.read_text()


class Authority:
    """A certificate authority in a folder of its own."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._config = folder / "openssl.cnf"
        self._config.write_text("[req]\ndistinguished_name = dn\n[dn]\n")
        may_sign = ("-addext", "keyUsage=critical,keyCertSign")
        self._own = self._make(name, "basicConstraints=critical,CA:TRUE", _EC, 3650, *may_sign)
        self.file = self._own.cert

    def issue(self, name: str, names: str = LOOPBACK, *, rsa: bool = False, days: int = 365) -> Pair:
        """A certificate for these names, with a new key."""
        kind = ("rsa:2048",) if rsa else _EC
        signed = ("-CA", str(self._own.cert), "-CAkey", str(self._own.key), "-addext", f"subjectAltName={names}")
        return self._make(name, "basicConstraints=critical,CA:FALSE", kind, days, *signed)

    def _make(self, name: str, constraints: str, kind: tuple[str, ...], days: int, *more: str) -> Pair:
        pair = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        command = [program("openssl"), "req", "-x509", "-nodes", "-config", str(self._config), "-subj", f"/CN={name}"]
        command += ["-days", str(days), "-keyout", str(pair.key), "-out", str(pair.cert), "-newkey", *kind]
        command += ["-addext", constraints, "-addext", "subjectKeyIdentifier=hash", *more]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
        return pair
