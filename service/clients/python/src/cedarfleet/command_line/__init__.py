"""``cedarfleet`` on the command line, for people and for scripts; see ``cedarfleet --help``."""

from cedarfleet.command_line.entry import main

__all__ = ["main"]
