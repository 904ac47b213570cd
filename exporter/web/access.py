"""Who may come in, and over what: the web configuration file as it counts now.

The file, and the certificates and keys it names, are watched. Only a set that is consistent takes the place of the one
before; until it is, that one stays in use.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

from exporter.config.loader import ConfigError
from exporter.config.watch import Watch
from exporter.config.web_file import TLS, USERS, LoadedWeb, WebFile, load_web
from exporter.instruments.log import say
from exporter.instruments.meter import Meter
from exporter.model.collector import Clock, Offload
from exporter.model.problem import Problem
from exporter.web import tls
from exporter.web.answers import Refused
from exporter.web.auth import Attempts, BasicAuth, BcryptMissing, comparing

_log = logging.getLogger(__name__)

_PIP = "needs the package bcrypt: pip install 'platform-exporter[auth]'"
_RESTART = "cannot be switched {} while the daemon runs: restart it"
_EXPIRED = "the certificate has expired; the one before stays in use"


@dataclass(frozen=True)
class _Rules:
    """One version of the file, ready for use."""

    loaded: LoadedWeb
    tls: tls.Tls | None
    basic: BasicAuth | None

    @property
    def settings(self) -> WebFile:
        return self.loaded.settings

    @property
    def certificates(self) -> bool:
        """Whether a request needs a client certificate."""
        return self.tls is not None and self.tls.required


class Access:
    """Without a file everybody may come in, and nothing is checked."""

    def __init__(self, path: Path | None, files: Offload, logins: Offload, clock: Clock, meter: Meter) -> None:
        self._path = path
        self._files = files
        self._logins = logins
        self._clock = clock
        self._attempts = Attempts(clock.monotonic)
        self._successful = meter.gauge(
            "web_config_last_reload_successful", "Whether the web configuration file was fine when it was last read."
        )
        self._expiry = meter.gauge(
            "tls_certificate_expiry_timestamp_seconds", "When the certificate of the listener ends.", unit="seconds"
        )
        self._rules: _Rules | None = None
        self._told: tuple[Problem, ...] = ()
        self._reloading = asyncio.Lock()
        self.context: tls.Live | None = None
        self.headers: Mapping[str, str] = {}
        if path is not None:
            # Noted before it is read: a change in between would otherwise never be seen.
            self._watch = Watch([path], files, self._look_again)
            self._watch.note()
            self._take(self._read(path, None))

    @property
    def configured(self) -> bool:
        return self._path is not None

    @property
    def authenticates(self) -> bool:
        """Whether credentials of some kind are needed."""
        return self._rules is not None and (self._rules.basic is not None or self._rules.certificates)

    @property
    def scheme(self) -> str:
        return "http" if self.context is None else "https"

    async def guard(self, request: web.BaseRequest, login: bool = True) -> None:
        """Raises Refused unless the request may go on; without `login` a certificate that is required is enough."""
        rules = self._rules
        assert rules is not None
        if rules.tls is not None and rules.tls.required:
            _check_certificate(rules.tls, request)
        if login and rules.basic is not None:
            await rules.basic.check(request)

    # -- reading it again

    async def run(self) -> None:
        """Follows the files until cancelled."""
        if self._path is None:
            return
        self._warn_of_the_end()
        await self._watch.prime()
        await self.reload()  # what changed between reading a file and noting what it was
        await self._watch.run()

    async def reload(self, dry_run: bool = False) -> tuple[Problem, ...]:
        """Takes over what is in the files now, or keeps what there is; returns what is wrong."""
        if self._path is None:
            return ()
        async with self._reloading:
            old = self._rules
            try:
                fresh = await self._files(partial(self._read, self._path, old))
            except ConfigError as error:
                if not dry_run:
                    self._refuse(error)
                return error.problems
            if not dry_run:
                self._take(fresh)
            return ()

    async def _look_again(self) -> None:
        await self.reload()

    def _read(self, path: Path, old: _Rules | None) -> _Rules:
        loaded = load_web(path)
        settings = loaded.settings
        if old is not None and settings == old.settings:
            return _Rules(loaded, old.tls, old.basic)
        same_users = old is not None and settings.basic_auth_users == old.settings.basic_auth_users
        fresh = _Rules(loaded, _tls(loaded), old.basic if old and same_users else self._users(loaded))
        if old is not None:
            self._compare(old, fresh)
        return fresh

    def _users(self, loaded: LoadedWeb) -> BasicAuth | None:
        if not loaded.settings.basic_auth_users:
            return None
        try:
            compare = comparing()
        except BcryptMissing:
            raise loaded.unfit((USERS,), _PIP) from None
        return BasicAuth(loaded.settings.basic_auth_users, compare, self._logins, self._attempts)

    def _compare(self, old: _Rules, fresh: _Rules) -> None:
        """Refuses what must not happen to a daemon that runs, such as opening up because a file was half written."""
        loaded = fresh.loaded
        if (old.tls is None) != (fresh.tls is None):
            raise loaded.unfit((TLS,), _RESTART.format("off" if old.tls else "on"))
        if old.basic is not None and fresh.basic is None:
            raise loaded.unfit((USERS,), _RESTART.format("off"))
        if old.certificates and not fresh.certificates:
            raise loaded.unfit((TLS, "client_auth_type"), _RESTART.format("off"))
        if old.tls and old.tls.allowed_names and fresh.tls and not fresh.tls.allowed_names:
            raise loaded.unfit((TLS, "client_allowed_sans"), _RESTART.format("off"))
        if old.tls and fresh.tls and fresh.tls.expires <= self._clock.wall() < old.tls.expires:
            raise loaded.unfit((TLS, "cert"), _EXPIRED)

    def _refuse(self, error: ConfigError) -> None:
        self._successful.labels().set(0.0)
        assert self._rules is not None
        self._watch.follow([*self._rules.loaded.watched, *error.watched])
        # A pair that is replaced file by file is looked at more than once.
        if error.problems != self._told:
            self._told = error.problems
            for problem in error.problems:
                say(_log, logging.ERROR, "web configuration refused, the last good one stays", problem=str(problem))

    def _take(self, fresh: _Rules) -> None:
        old, self._rules, self._told = self._rules, fresh, ()
        self._watch.follow(fresh.loaded.watched)
        self._successful.labels().set(1.0)
        self.headers = {name: value for name, value in fresh.settings.http_server_config.headers.items() if value}
        if fresh.tls is not None:
            self.context = self.context or tls.Live(ssl.PROTOCOL_TLS_SERVER)
            self.context.current = fresh.tls.context
            self._expiry.labels().set(fresh.tls.expires)
        if old is not None and old.settings != fresh.settings:
            changed = [
                name for name in WebFile.model_fields if getattr(old.settings, name) != getattr(fresh.settings, name)
            ]
            say(_log, logging.INFO, "web configuration reloaded", changed=", ".join(changed))
            self._warn_of_the_end()

    def _warn_of_the_end(self) -> None:
        if self._rules and self._rules.tls and self._rules.tls.expires <= self._clock.wall():
            say(_log, logging.WARNING, "the certificate of the listener has expired")


def _tls(loaded: LoadedWeb) -> tls.Tls | None:
    options = loaded.settings.tls_server_config
    if options is None:
        return None
    try:
        return tls.build(options)
    except tls.Unfit as unfit:
        raise loaded.unfit((TLS, unfit.key), unfit.message) from None


def _check_certificate(rules: tls.Tls, request: web.BaseRequest) -> None:
    """The handshake has verified what it was given; whether it was given something, and for whom, is decided here."""
    transport = request.transport
    certificate = transport.get_extra_info("peercert") if transport is not None else None
    if transport is None or not certificate:
        raise _forbidden("certificate_required", "a client certificate is needed")
    # Made before the authorities changed: only a new handshake can tell whether the certificate still counts.
    if transport.get_extra_info("ssl_object").context.authorities != rules.context.authorities:
        raise _forbidden("certificate_outdated", "connect again: whose certificates are accepted has changed")
    if rules.allowed_names and not rules.allowed_names & tls.names_of(certificate):
        raise _forbidden("certificate_not_allowed", "this client certificate is not on the list")


def _forbidden(code: str, message: str) -> Refused:
    # Another answer needs another handshake: a client that kept the connection would be refused for ever.
    return Refused(HTTPStatus.FORBIDDEN, code, message, headers={"Connection": "close"})
