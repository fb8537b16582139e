"""The program ``cedarfleet-device``: run, provision, status, doctor."""

from __future__ import annotations

import argparse
import json
import runpy
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cedarfleet_device.agent import Agent
from cedarfleet_device.config import DeviceConfig
from cedarfleet_device.diagnostics.doctor import examine
from cedarfleet_device.diagnostics.health import read_status
from cedarfleet_device.enrollment.provisioning import provision
from cedarfleet_device.errors import ConfigError, DeviceError
from cedarfleet_device.log import places, to_stdout
from cedarfleet_device.store.state_folder import StateFolder, in_use

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; the exit code: 0 done, 1 refused or failed, 2 wrong usage."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        config = DeviceConfig.load(given.config)
        to_stdout(config.log_level)
        act: Callable[[DeviceConfig, argparse.Namespace], int] = given.act
        return act(config, given)
    except DeviceError as error:
        return _complain(str(error))
    except BrokenPipeError:  # `status | head` has read enough
        sys.stdout = None
        return 1
    except Exception as error:  # noqa: BLE001 - a person gets words, not a traceback
        return _complain(
            f"{type(error).__name__}: {error}; a fault of the agent, at "
            f"{', '.join(places(error)[-3:])}"
        )


def _complain(words: str) -> int:
    print(f"cedarfleet-device: {words}", file=sys.stderr)  # noqa: T201 - its last word
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cedarfleet-device", description="Agent of a Cedarfleet device"
    )
    parser.add_argument("--version", action="version", version=version("cedarfleet-device"))
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    def action(
        name: str, act: Callable[[DeviceConfig, argparse.Namespace], int], words: str
    ) -> argparse.ArgumentParser:
        each = actions.add_parser(name, help=words, description=words)
        each.add_argument("--config", type=Path, required=True, metavar="FILE", help="device.toml")
        each.set_defaults(act=act)
        return each

    run = action("run", _run, "receive commands and files until stopped")
    run.add_argument(
        "--handlers",
        type=Path,
        metavar="FILE",
        help="Python file with register(agent) or install(path)",
    )
    claim = action("provision", _provision, "get the device's certificate with a claim")
    claim.add_argument("--claim-certificate", type=Path, required=True, metavar="FILE")
    claim.add_argument("--claim-key", type=Path, required=True, metavar="FILE")
    action("status", _status, "what the agent on this machine is doing, as JSON")
    action("doctor", _doctor, "say in words what is wrong")
    return parser


def _run(config: DeviceConfig, given: argparse.Namespace) -> int:
    functions = _functions(given.handlers) if given.handlers else {}
    with Agent(config, install=functions.get("install")) as agent:
        if register := functions.get("register"):
            register(agent)
        agent.run()
    return 0


def _functions(file: Path) -> dict[str, Callable[..., Any]]:
    """``register`` and ``install``, as far as a maker's file defines them."""
    if not file.is_file():
        raise ConfigError(f"`--handlers` `{file}` is no file")
    try:
        defined = runpy.run_path(str(file))
    except Exception as error:
        # Of a syntax error the text says where it is; of another, its last places do.
        at = "" if isinstance(error, SyntaxError) else f", at {', '.join(places(error)[-2:])}"
        raise ConfigError(
            f"`--handlers` `{file}` cannot be run: {type(error).__name__}: {error}{at}"
        ) from error
    found = {name: defined[name] for name in ("register", "install") if callable(defined.get(name))}
    if not found:
        raise ConfigError(f"`{file}` defines neither `register(agent)` nor `install(path)`")
    return found


def _provision(config: DeviceConfig, given: argparse.Namespace) -> int:
    with StateFolder(config.state_dir):
        provision(config, claim_certificate=given.claim_certificate, claim_key=given.claim_key)
    return 0


def _status(config: DeviceConfig, _given: argparse.Namespace) -> int:
    running = in_use(config.state_dir)
    status = read_status(config.state_dir) or {"thing": config.thing}
    status["state"] = "running" if running else "stopped"
    print(json.dumps(status, indent=2))  # noqa: T201 - the answer of the program
    return 0 if running else 1


def _doctor(config: DeviceConfig, _given: argparse.Namespace) -> int:
    findings = examine(config)
    for finding in findings:
        print(finding)  # noqa: T201 - the answer of the program
    return 0 if all(each.good for each in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
