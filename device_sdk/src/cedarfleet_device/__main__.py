"""The program ``cedarfleet-device``: enroll, run, status, doctor."""

from __future__ import annotations

import argparse
import json
import runpy
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cedarfleet_device.agent import Agent
from cedarfleet_device.config import DeviceConfig
from cedarfleet_device.diagnostics.doctor import examine
from cedarfleet_device.diagnostics.health import read_status
from cedarfleet_device.enrollment.enroll import Identity, enroll
from cedarfleet_device.enrollment.service import EnrolmentService
from cedarfleet_device.errors import ConfigError, DeviceError
from cedarfleet_device.installs.steps import Installer
from cedarfleet_device.log import places, to_stdout
from cedarfleet_device.standard_output import UnwrittenError, answered, say
from cedarfleet_device.store.state_folder import in_use

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


_CONFIG: Final = Path("device.toml")
_EXIT_CODES: Final = "exit codes: 0 done, 1 refused or failed (with the reason), 2 wrong usage"
_BEGINNING: Final = """\
  cedarfleet-device enroll --api URL --tenant TENANT --device ID --code-file FILE
  cedarfleet-device doctor
  cedarfleet-device run --handlers handlers.py"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; the exit code: 0 done, 1 refused or failed, 2 wrong usage."""
    return answered(lambda: _main(arguments))


def _main(arguments: Sequence[str] | None) -> int:
    given = _parser().parse_args(arguments)
    try:
        act: Callable[[argparse.Namespace], int] = given.act
        return act(given)
    except DeviceError as error:
        return _complain(str(error))
    except UnwrittenError:
        raise
    except KeyboardInterrupt:
        return _complain("interrupted")
    except BaseException as error:
        if isinstance(error, SystemExit):  # of a maker's own file, or of argparse
            raise
        # A person gets words, not a traceback: also where a future was cancelled.
        return _complain(
            f"{type(error).__name__}: {error}; a fault of the agent, at "
            f"{', '.join(places(error)[-3:])}"
        )


def _complain(words: str) -> int:
    print(f"cedarfleet-device: {words}", file=sys.stderr)  # noqa: T201 - its last word
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cedarfleet-device",
        description="Agent of a Cedarfleet device",
        epilog=f"{_EXIT_CODES}\n\nIn this order, on a new device:\n{_BEGINNING}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version("cedarfleet-device"))
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    def plain(name: str, words: str, *more: str) -> argparse.ArgumentParser:
        return actions.add_parser(
            name,
            help=words,
            description=words,
            epilog="\n".join((_EXIT_CODES, *more)),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def action(
        name: str,
        act: Callable[[DeviceConfig, argparse.Namespace], int],
        words: str,
        *more: str,
    ) -> argparse.ArgumentParser:
        each = plain(name, words, *more)
        each.add_argument(
            "--config",
            type=Path,
            default=_CONFIG,
            metavar="FILE",
            help="of the device (default: %(default)s)",
        )
        each.set_defaults(act=lambda given: _configured(act, given))
        return each

    handlers = "Python file with register(agent) or install(path) (default: none)"
    run = action(
        "run",
        _run,
        "receive commands and files until stopped",
        "example: cedarfleet-device run --handlers handlers.py",
    )
    run.add_argument("--handlers", type=Path, metavar="FILE", help=handlers)
    enrolling = plain(
        "enroll",
        "get the certificate of a device that was registered, by its one-time code",
        "example: cedarfleet-device enroll --api https://api.example.com --tenant acme"
        " --device press-07 --code-file code.txt",
    )
    enrolling.add_argument("--api", required=True, metavar="URL", help="of the service")
    enrolling.add_argument(
        "--api-ca",
        type=Path,
        metavar="FILE",
        help="who signs its certificate (default: the system's)",
    )
    enrolling.add_argument("--tenant", required=True, help="that the device was registered in")
    enrolling.add_argument("--device", required=True, help="id in the tenant, e.g. press-07")
    enrolling.add_argument(
        "--code-file",
        required=True,
        metavar="FILE",
        help="its first line is the code; `-`: the standard input",
    )
    enrolling.add_argument(
        "--request",
        type=Path,
        metavar="FILE",
        help="signing request (PEM) that the key of [hardware_key] signed (default: a key is made)",
    )
    enrolling.add_argument(
        "--trust",
        type=Path,
        metavar="FILE",
        help="list of keys (`cedarfleet-sign`): only what they signed is taken (default: none)",
    )
    enrolling.add_argument(
        "--config",
        type=Path,
        default=_CONFIG,
        metavar="FILE",
        help="made if it is not there, with key and certificate beside it (default: %(default)s)",
    )
    enrolling.set_defaults(act=_enroll)
    action(
        "status",
        _status,
        "what the agent on this machine is doing, as JSON",
        "of `status`, 1 also says that no agent runs",
    )
    doctor = action(
        "doctor",
        _doctor,
        "say in words what is wrong",
        "of `doctor`, 1 says that something is",
    )
    doctor.add_argument("--handlers", type=Path, metavar="FILE", help=handlers)
    return parser


def _configured(
    act: Callable[[DeviceConfig, argparse.Namespace], int], given: argparse.Namespace
) -> int:
    """Act with the configuration that is named."""
    config = DeviceConfig.load(given.config)
    to_stdout(config.log_level)
    return act(config, given)


def _run(config: DeviceConfig, given: argparse.Namespace) -> int:
    functions = maker_functions(given.handlers) if given.handlers else {}
    install = functions.get("installer") or functions.get("install")
    with Agent(config, install=install) as agent:
        if register := functions.get("register"):
            register(agent)
        agent.run()
    return 0


def maker_functions(file: Path) -> dict[str, Any]:
    """``register``, ``install`` and ``installer``, as far as a maker's file defines them."""
    if not file.is_file():
        raise ConfigError(f"`--handlers` `{file}` is no file")
    try:
        defined = runpy.run_path(str(file))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # Of a syntax error the text says where it is; of another, its last places do.
        at = "" if isinstance(error, SyntaxError) else f", at {', '.join(places(error)[-2:])}"
        raise ConfigError(
            f"`--handlers` `{file}` cannot be run: {type(error).__name__}: {error}{at}"
        ) from error
    found = {name: defined[name] for name in ("register", "install") if callable(defined.get(name))}
    if isinstance(installer := defined.get("installer"), Installer):
        found["installer"] = installer
    if not found:
        raise ConfigError(
            f"`{file}` defines neither `register(agent)` nor `install(path)` nor an `installer`"
        )
    return found


def _enroll(given: argparse.Namespace) -> int:
    to_stdout("INFO")
    try:
        # Never an argument: every user of the machine sees those.
        code = sys.stdin.read(1024) if given.code_file == "-" else _code(Path(given.code_file))
    except (OSError, ValueError) as error:
        raise ConfigError(f"`--code-file` `{given.code_file}` cannot be read: {error}") from error
    try:
        trust: bytes | None = given.trust.read_bytes() if given.trust else None
    except OSError as error:
        raise ConfigError(f"`--trust` `{given.trust}` cannot be read: {error.strerror}") from error
    try:
        request: bytes | None = given.request.read_bytes() if given.request else None
    except OSError as error:
        raise ConfigError(
            f"`--request` `{given.request}` cannot be read: {error.strerror}"
        ) from error
    identity = Identity(tenant=given.tenant, device=given.device, config_file=given.config)
    there = DeviceConfig.load(given.config) if given.config.exists() else None
    service = EnrolmentService(
        url=given.api,
        ca_file=given.api_ca,
        proxy="" if there is None else there.connection.proxy,
    )
    enroll(service, identity, code, request=request, trust=trust)
    return 0


def _code(file: Path) -> str:
    with file.open(encoding="utf-8") as text:
        return text.read(1024)


def _status(config: DeviceConfig, _given: argparse.Namespace) -> int:
    running = in_use(config.state_dir)
    status = read_status(config.state_dir) or {"thing": config.thing}
    status["state"] = "running" if running else "stopped"
    say(json.dumps(status, indent=2))
    return 0 if running else 1


def _doctor(config: DeviceConfig, given: argparse.Namespace) -> int:
    file: Path | None = given.handlers
    findings = examine(config, handlers=None if file is None else lambda: maker_functions(file))
    for finding in findings:
        say(str(finding))
    return 0 if all(each.good for each in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
