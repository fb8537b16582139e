"""What of one tenant another one's session must not reach: the parts that are tried, by name."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

NOBODY: Final = "isolation-canary"
"""Stands where a call names something of a tenant's; nothing is called so."""


class Part(StrEnum):
    """One part, of which one harmless call is tried."""

    DEVICES = "devices"
    COMMANDS = "commands"
    COMMANDS_WRITTEN = "commands-written"
    AUDIT = "audit"
    FILES = "files"
    DECISIONS = "decisions"
    PEOPLE = "people"
    STATES = "states"
