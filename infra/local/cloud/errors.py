"""What can go wrong with the embedded cloud, split by who must act."""

from __future__ import annotations


class EmbeddedCloudError(Exception):
    """The embedded cloud could not start, or does not serve what was asked; says what would do."""


class PortTakenError(EmbeddedCloudError):
    """A port that was asked for by number is in use."""

    def __init__(self, *, purpose: str, port: int) -> None:
        super().__init__(
            f"port {port} for {purpose} is taken by another process: stop that process, "
            "name another port, "
            "or name 0 and a free one is chosen"
        )
        self.port = port


class StateInUseError(EmbeddedCloudError):
    """Another process runs an embedded cloud on the same state directory."""


class StateDamagedError(EmbeddedCloudError):
    """The state on disk is not what this program wrote; it is not loaded, and not overwritten."""


class EmulatorChangedError(EmbeddedCloudError):
    """A private name that a correction replaces is gone: the emulator is another version."""
