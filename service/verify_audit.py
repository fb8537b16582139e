"""``python -m service verify-audit FILE...``: checks an export of the audit trail by itself.

It needs neither settings nor network: whoever has an export, and the fingerprint of the key noted
elsewhere, can check it on any machine.
"""

from __future__ import annotations

import argparse
import re
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from service.domain.audit_verification import Verification, Verified

if TYPE_CHECKING:
    from collections.abc import Sequence

_FINGERPRINT: Final = re.compile("[0-9a-f]{64}")
GOOD: Final = 0
TAMPERED: Final = 1
UNUSABLE: Final = 2


def main(arguments: Sequence[str]) -> int:
    """0: the export is whole and unchanged; 1: it is not, and why; 2: nothing could be checked."""
    asked = _parser().parse_args(arguments)
    with ExitStack() as files:
        try:
            exports = [
                files.enter_context(Path(name).open(encoding="utf-8")) for name in asked.files
            ]
            found = Verification(trusted=asked.key, heads=dict(asked.head)).verify(exports)
        except (OSError, UnicodeDecodeError) as error:
            sys.stderr.write(f"cannot read the export: {type(error).__name__}\n")
            return UNUSABLE
    for line in told(found, is_key_known=bool(asked.key)):
        sys.stdout.write(f"{line}\n")
    return TAMPERED if found.problems else GOOD


def told(found: Verified, *, is_key_known: bool) -> list[str]:
    """What was found, in lines for a person."""
    if found.problems:
        return ["NOT VERIFIED", *(f"  {problem}" for problem in found.problems)]
    signed_at = datetime.fromtimestamp(found.signed_at / 1000, UTC).isoformat(timespec="seconds")
    lines = [
        f"verified: {found.entries} entries of `{found.tenant}`",
        f"links {found.first} to {found.last}, signed up to link {found.signed} at {signed_at}",
        f"head: {found.last}:{found.head}",
        *(f"key: {key}" for key in sorted(found.keys)),
    ]
    if found.ends:
        lines.append(f"it tells of {found.ends} ends of commands and downloads on devices")
    if found.first > 1:
        lines.append(f"links 1 to {found.first - 1} are not in it")
    if found.unsigned:
        lines.append(
            f"open tail: {found.unsigned} entries behind link {found.signed} are not signed yet"
        )
    if not is_key_known:
        lines.append(
            "whose key this is was not checked: give `--key` the fingerprint that you noted"
        )
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m service verify-audit",
        description="Check exports of the audit trail, one after the other.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="as GET /v1/audit/export gave it")
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        type=_fingerprint,
        help="SHA-256 of the key that may sign, as you noted it; may be given again",
    )
    parser.add_argument(
        "--head",
        action="append",
        default=[],
        type=_head,
        metavar="NUMBER:HASH",
        help="a link that you noted earlier, which must be there; may be given again",
    )
    return parser


def _fingerprint(text: str) -> str:
    if not _FINGERPRINT.fullmatch(text):
        raise argparse.ArgumentTypeError("must be 64 hex digits")
    return text


def _head(text: str) -> tuple[int, str]:
    number, _, hashed = text.partition(":")
    if not (number.isascii() and number.isdecimal() and _FINGERPRINT.fullmatch(hashed)):
        raise argparse.ArgumentTypeError("must be like `41:` and 64 hex digits")
    return int(number), hashed
