"""`make aws-check`: settle what only AWS can tell, with at most 50 calls, and take all away.

Ordinary credentials and region (`AWS_PROFILE`, `AWS_REGION`, ...) of a sandbox account. Asks before
it begins; `--yes` answers. Exit code 0: all that was asked was answered as the product says; 1: a
row stays open or does not hold, or something is left over.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3
import botocore
from botocore.exceptions import BotoCoreError, ClientError

from infra.aws_check.asking import ask
from infra.aws_check.calls import AwsCalls
from infra.aws_check.report import plan, table
from infra.aws_check.rows import ROWS, Outcome, Settled
from infra.aws_check.sandbox import Sandbox
from infra.aws_check.waiting import RealTime

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from infra.aws_check.waiting import Waiting

# botocore brings the authorities that sign AWS's certificates, Amazon Root CA 1 too.
_AUTHORITIES: Final = Path(botocore.__file__).with_name("cacert.pem")
_ENDPOINT: Final = "AWS_ENDPOINT_URL"
_GOOD: Final = frozenset({Settled.HOLDS, Settled.NO_CALL})


@dataclass(frozen=True, kw_only=True)
class Check:
    """One run.

    Attributes:
        calls: clients of the account.
        waiting: time, as it passes there.
        ca_file: PEM of who signs the broker's certificate.
        agreed: asked before anything is made.
        say: gets each line.
    """

    calls: AwsCalls
    waiting: Waiting
    ca_file: Path
    agreed: Callable[[], bool]
    say: Callable[[str], None]

    def run(self) -> int:
        """Say what will be done, do it, take all away, print the table; the exit code.

        Raises:
            BotoCoreError: no credentials, no region.
            ClientError: the credentials are refused.
        """
        caller = self.calls.client("sts").get_caller_identity()
        with tempfile.TemporaryDirectory(prefix="cedarfleet-check-") as folder:
            sandbox = Sandbox(
                calls=self.calls,
                waiting=self.waiting,
                folder=Path(folder),
                ca_file=self.ca_file,
                account_id=caller["Account"],
            )
            for line in plan(sandbox, who=caller["Arn"]):
                self.say(line)
            if not self.agreed():
                self.say("nothing was made")
                return 1
            return self._asked(sandbox)

    def _asked(self, sandbox: Sandbox) -> int:
        outcomes: dict[str, Outcome] = {}
        left = ["everything"]
        try:
            ask(sandbox, outcomes, self.say)
        except KeyboardInterrupt:
            self.say("interrupted: taking away what was made")
        finally:
            with _uninterrupted():
                left = sandbox.leftovers.take_away()
        for line in table(sandbox, outcomes):
            self.say(line)
        for line in left:
            self.say(f"LEFT OVER, delete it by hand: {line}")
        good = len(outcomes) == len(ROWS) and all(
            outcome.settled in _GOOD for outcome in outcomes.values()
        )
        return 0 if good and not left else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check once, with this process's credentials."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    calls = AwsCalls(boto3.Session(), endpoint_url=os.environ.get(_ENDPOINT))
    try:
        return Check(
            calls=calls,
            waiting=RealTime(),
            ca_file=options.ca,
            agreed=(lambda: True) if options.yes else _agrees,
            say=_say,
        ).run()
    except (BotoCoreError, ClientError) as error:
        _say(f"no account to ask: {error}")
        return 1
    finally:
        calls.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.aws_check", description=__doc__)
    parser.add_argument("--yes", action="store_true", help="do not ask before it begins")
    parser.add_argument(
        "--ca",
        type=Path,
        default=_AUTHORITIES,
        help="PEM of who signs the broker's certificate (default: AWS's); "
        ".cedarfleet/cloud/broker-ca.pem for `make up`",
    )
    return parser


def _agrees() -> bool:
    # Fail closed: without a terminal nobody has agreed.
    return sys.stdin.isatty() and input("Go on? [yes] ").strip().lower() in {"y", "yes"}


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def _uninterrupted() -> Generator[None]:
    """What was made is taken away, however often somebody presses Ctrl-C."""
    signals = (signal.SIGINT, signal.SIGTERM)
    try:
        before = {each: signal.signal(each, signal.SIG_IGN) for each in signals}
    except ValueError:  # not the main thread, which no signal reaches
        yield
        return
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
