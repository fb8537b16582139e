"""Critical files, whose faults would hurt a tenant or a device, and the tests that see them."""

from __future__ import annotations

from typing import Final

_DEVICE: Final = "device_sdk/src/cedarfleet_device"
_DEVICE_TESTS: Final = "tests/device_sdk"
_COMMANDS_ON_A_STORE: Final = (
    f"{_DEVICE_TESTS}/commands/test_order_over_restarts.py",
    f"{_DEVICE_TESTS}/commands/test_command_phases.py",
    f"{_DEVICE_TESTS}/commands/test_repeated_commands.py",
)

CRITICAL: Final[dict[str, tuple[str, ...]]] = {
    "service/domain/json_limits.py": ("tests/service/domain/test_json_limits.py",),
    f"{_DEVICE}/store/store.py": (
        *_COMMANDS_ON_A_STORE,
        f"{_DEVICE_TESTS}/store",
        f"{_DEVICE_TESTS}/test_idle_cpu.py",
    ),
    f"{_DEVICE}/store/transaction.py": (*_COMMANDS_ON_A_STORE, f"{_DEVICE_TESTS}/store"),
    f"{_DEVICE}/commands/inbox.py": _COMMANDS_ON_A_STORE,
    f"{_DEVICE}/commands/admission.py": _COMMANDS_ON_A_STORE,
    f"{_DEVICE}/commands/receiver.py": (
        f"{_DEVICE_TESTS}/commands/test_messages_off_the_wire.py",
        f"{_DEVICE_TESTS}/commands/test_message_flood.py",
    ),
    f"{_DEVICE}/commands/executor.py": (
        f"{_DEVICE_TESTS}/commands/test_execution.py",
        f"{_DEVICE_TESTS}/test_idle_cpu.py",
    ),
    f"{_DEVICE}/commands/outbox.py": (
        *_COMMANDS_ON_A_STORE,
        f"{_DEVICE_TESTS}/commands/test_state_order.py",
        f"{_DEVICE_TESTS}/test_idle_cpu.py",
    ),
    f"{_DEVICE}/downloads/ranges.py": (f"{_DEVICE_TESTS}/downloads/test_ranges.py",),
    f"{_DEVICE}/downloads/partial_file.py": (
        f"{_DEVICE_TESTS}/downloads/test_power_loss.py",
        f"{_DEVICE_TESTS}/downloads/test_resume.py",
        f"{_DEVICE_TESTS}/downloads/test_disk.py",
    ),
    f"{_DEVICE}/downloads/transfer.py": (
        f"{_DEVICE_TESTS}/downloads/test_power_loss.py",
        f"{_DEVICE_TESTS}/downloads/test_resume.py",
        f"{_DEVICE_TESTS}/downloads/test_changed_object.py",
        f"{_DEVICE_TESTS}/downloads/test_hook.py",
        f"{_DEVICE_TESTS}/downloads/test_downloader.py",
        f"{_DEVICE_TESTS}/downloads/test_rules.py",
    ),
    f"{_DEVICE}/downloads/target.py": (
        f"{_DEVICE_TESTS}/downloads/test_power_loss.py",
        f"{_DEVICE_TESTS}/downloads/test_hook.py",
        f"{_DEVICE_TESTS}/downloads/test_disk.py",
    ),
    f"{_DEVICE}/downloads/progress_journal.py": (
        f"{_DEVICE_TESTS}/downloads/test_progress_journal.py",
        f"{_DEVICE_TESTS}/downloads/test_power_loss.py",
    ),
    f"{_DEVICE}/identity/credentials.py": (
        f"{_DEVICE_TESTS}/identity",
        "-k",
        "not whenever_the_power_goes",  # seconds of processes; a test of all losses is beside it
    ),
    f"{_DEVICE}/enrollment/rotation.py": (f"{_DEVICE_TESTS}/enrollment/test_rotation.py",),
    f"{_DEVICE}/wire/commands.py": (f"{_DEVICE_TESTS}/wire",),
    f"{_DEVICE}/wire/form.py": (f"{_DEVICE_TESTS}/wire",),
    f"{_DEVICE}/wire/names.py": (f"{_DEVICE_TESTS}/wire",),
}

# file -> mutant's key -> why no test can see it: what it does is the same
EQUIVALENT: Final[dict[str, dict[str, str]]] = {}
