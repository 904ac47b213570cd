"""The command line: parses, calls, maps errors to exit codes; nothing else."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from exporter import __version__
from exporter.app.daemon import Daemon
from exporter.app.loop import run_loop
from exporter.app.settings import Flags, settle
from exporter.config.loader import ConfigError, schema
from exporter.config.types import listen_address, service_url, url_path
from exporter.model.reason import Outcome
from exporter.model.snapshot import Snapshot

FINE, FAILED, WRONG = 0, 1, 2

_EPILOG = """\
collectors are switched with --collector.NAME and --no-collector.NAME; a flag beats the file.

signals: SIGHUP reloads the configuration, SIGTERM and SIGINT stop, a second of them at once; SIGQUIT ends it as it is,
SIGPIPE, SIGUSR1 and SIGUSR2 do nothing.
exit codes: 0 fine, 1 failed at run time, 2 wrong usage or configuration.

examples:
  platform-exporter demo                                 try it, nothing to configure
  platform-exporter --config.file=exporter.yaml          run the daemon
  platform-exporter check-config exporter.yaml           list every mistake in a file
  platform-exporter once --config.file=exporter.yaml     collect once, print the metrics
"""


_COMMANDS = {
    "serve": "run the daemon (the default command)",
    "demo": "run the daemon on a bundled set of alert receivers, to try it",
    "once": "run one collection and print the metrics",
    "check-config": "list every mistake in configuration files",
    "config-schema": "print the JSON Schema of the configuration",
}


class _Usage(Exception):
    """A command line that cannot be understood."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise _Usage(f"{self.prog}: {message} (try --help)")


def run(argv: Sequence[str]) -> int:
    """Runs one command and returns its exit code."""
    commands: dict[str, Callable[[argparse.Namespace], int]] = {
        "serve": _serve,
        "demo": _demo,
        "once": _once,
        "check-config": _check_config,
        "config-schema": _config_schema,
    }
    # The daemon is the default command: its flags may stand alone, as with every exporter.
    arguments = list(argv)
    if not arguments or (arguments[0] not in commands and arguments[0] not in ("-h", "--help", "--version")):
        arguments.insert(0, "serve")
    try:
        options = _parser().parse_args(_collector_flags(arguments))
        return commands[options.command](options)
    except _Usage as error:
        print(error, file=sys.stderr)
        return WRONG
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return WRONG
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at exit
        return FAILED
    except OSError as error:
        print(f"platform-exporter: {error.strerror or error}", file=sys.stderr)
        return FAILED


def _collector_flags(arguments: list[str]) -> list[str]:
    """`--[no-]collector.NAME` as `--collector NAME=on|off`: plugins make names the parser cannot know."""
    result: list[str] = []
    for argument in arguments:
        for prefix, switch in (("--collector.", "on"), ("--no-collector.", "off")):
            name = argument.removeprefix(prefix)
            if name != argument and name != "disable-defaults":
                result += ["--collector", f"{name}={switch}"]
                break
        else:
            result.append(argument)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="platform-exporter",
        description="Tells a platform team whether its alerts really get out and who really uses its services.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    version = f"platform-exporter {__version__} (python {platform.python_version()})"
    parser.add_argument("--version", action="version", version=version)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    added = {
        name: subparsers.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=_EPILOG if name == "serve" else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        for name, text in _COMMANDS.items()
    }
    for name in ("serve", "once"):
        _file_flag(added[name])
    for name in ("serve", "demo"):
        _web_flags(added[name])
        _storage_flag(added[name])
    for name in ("serve", "demo", "once"):
        _common_flags(added[name], version)
    added["check-config"].add_argument("files", nargs="+", type=Path, metavar="F", help="configuration files")
    added["config-schema"].add_argument(
        "--config.file", dest="config_file", type=Path, metavar="F", help="include the plugins this file names"
    )
    return parser


def _file_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config.file",
        dest="config_file",
        type=Path,
        metavar="F",
        help="configuration (YAML); without it every collector that needs none runs on the defaults",
    )
    parser.add_argument(
        "--alertmanager.url",
        dest="alertmanager_url",
        type=_checked(service_url),
        metavar="URL",
        help="watch this Alertmanager as well, without a configuration too",
    )


def _web_flags(parser: argparse.ArgumentParser) -> None:
    web = parser.add_argument_group("web")
    web.add_argument(
        "--web.listen-address",
        dest="listen_addresses",
        action="append",
        type=_checked(listen_address),
        metavar="HOST:PORT",
        help="where to listen; repeatable (default: 127.0.0.1:9847)",
    )
    web.add_argument(
        "--web.telemetry-path",
        dest="telemetry_path",
        type=_checked(url_path),
        metavar="PATH",
        help="where the metrics are (default: /metrics)",
    )
    web.add_argument(
        "--web.config.file",
        dest="web_config_file",
        type=Path,
        metavar="F",
        help="TLS, basic authentication and client certificates, in the format Prometheus's exporters share",
    )
    web.add_argument(
        "--web.external-url",
        dest="external_url",
        metavar="URL",
        default="",
        help="the address people reach this daemon at, when a proxy stands in front of it",
    )
    web.add_argument(
        "--web.route-prefix",
        dest="route_prefix",
        type=_checked(_prefix),
        metavar="PATH",
        help="path in front of every route (default: the path of --web.external-url)",
    )
    web.add_argument(
        "--web.enable-lifecycle",
        dest="enable_lifecycle",
        action="store_true",
        default=None,
        help="allow POST /-/reload and other requests that change something",
    )


def _storage_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--storage.path",
        dest="storage_path",
        type=lambda text: Path(text).absolute(),
        metavar="F",
        help="where history is kept (default: platform-exporter.db beside the configuration)",
    )


def _checked(check: Callable[[str], str]) -> Callable[[str], str]:
    """The check of a configuration key, for the flag that stands for it."""

    def parse(text: str) -> str:
        try:
            return check(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


def _prefix(text: str) -> str:
    path = text.rstrip("/")
    return url_path(path) if path else ""


def _common_flags(parser: argparse.ArgumentParser, version: str) -> None:
    parser.add_argument("--collector", dest="collectors", action="append", default=[], help=argparse.SUPPRESS)
    parser.add_argument(
        "--collector.disable-defaults",
        dest="disable_defaults",
        action="store_true",
        help="run only the collectors that are switched on by flag",
    )
    log = parser.add_argument_group("log")
    log.add_argument("--log.level", dest="log_level", choices=("debug", "info", "warn", "error"), help="default: info")
    log.add_argument("--log.format", dest="log_format", choices=("logfmt", "json"), help="default: logfmt")
    parser.add_argument("--version", action="version", version=version)


def _flags(options: argparse.Namespace) -> Flags:
    switches = dict(item.partition("=")[::2] for item in options.collectors)
    prefix = getattr(options, "route_prefix", None)
    external = getattr(options, "external_url", "")
    return Flags(
        config_file=getattr(options, "config_file", None),
        listen_addresses=tuple(getattr(options, "listen_addresses", None) or ()),
        telemetry_path=getattr(options, "telemetry_path", None),
        external_url=external,
        route_prefix=prefix if prefix is not None else urlsplit(external).path.rstrip("/"),
        enable_lifecycle=getattr(options, "enable_lifecycle", None),
        web_config_file=getattr(options, "web_config_file", None),
        alertmanager_url=getattr(options, "alertmanager_url", None),
        storage_path=getattr(options, "storage_path", None),
        log_level=options.log_level,
        log_format=options.log_format,
        collectors={name: switch == "on" for name, switch in switches.items()},
        disable_defaults=options.disable_defaults,
    )


def _serve(options: argparse.Namespace) -> int:
    async def serve() -> bool:
        daemon = Daemon(_flags(options), os.environ)
        await daemon.serve()
        return daemon.failed

    return FAILED if run_loop(serve) else FINE


def _demo(options: argparse.Namespace) -> int:
    from exporter.demo import start  # whoever runs the real thing need not load the toy

    async def show() -> bool:
        demo = await start()
        try:
            flags = _flags(options)
            storage = flags.storage_path or demo.folder / "platform-exporter.db"
            daemon = Daemon(replace(flags, config_text=demo.config_text, storage_path=storage), os.environ)
            await daemon.serve(lambda addresses: _welcome(daemon.scheme, addresses, demo.slack_url))
        finally:
            await demo.stop()
        return daemon.failed

    return FAILED if run_loop(show) else FINE


def _welcome(scheme: str, addresses: Sequence[str], receiver: str) -> None:
    for address in addresses:
        url = f"{scheme}://{address}"
        print(f"\n  Status page  {url}/\n  Metrics      {url}/metrics")
    print(f"  Break Slack  curl -X POST {receiver}/-/break      (and /-/heal)\n  Stop         Ctrl-C\n", flush=True)


def _once(options: argparse.Namespace) -> int:
    _default_signals()

    async def once() -> tuple[Snapshot, bytes]:
        return await Daemon(_flags(options), os.environ).once()

    snapshot, page = run_loop(once)
    sys.stdout.buffer.write(page)
    sys.stdout.buffer.flush()
    bad = [record for record in snapshot.records.values() if record.outcome in (Outcome.TIMEOUT, Outcome.ERROR)]
    return FAILED if bad else FINE


def _check_config(options: argparse.Namespace) -> int:
    async def check(path: Path) -> None:
        if problems := Daemon(Flags(config_file=path), os.environ).problems():
            raise ConfigError(problems)

    _default_signals()
    wrong = False
    for path in options.files:
        try:
            run_loop(partial(check, path))
        except ConfigError as error:
            wrong = True
            for problem in error.problems:
                print(problem, file=sys.stderr)
        else:
            print(f"{path}: fine")
    return WRONG if wrong else FINE


def _config_schema(options: argparse.Namespace) -> int:
    _default_signals()
    settings = settle(Flags(config_file=options.config_file), os.environ)
    print(json.dumps(schema(settings.catalogue.options), indent=2))
    return FINE


def _default_signals() -> None:
    """A command that ends by itself dies of a signal as any program does."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
