"""What tenants, devices, things and commands may be called; a thing's name gives its tenant."""

from __future__ import annotations

import re
from typing import Final

from cedarfleet_device.wire.form import WireError

MAX_THING_NAME: Final = 128  # AWS IoT Core quota: characters

# 2..32 characters, never `--`, no `-` at an end.
_TENANT = re.compile(r"(?!.*--)[a-z][a-z0-9-]{0,30}[a-z0-9]")
# A subset of an IoT thing name's [a-zA-Z0-9:_-]{1,128}.
DEVICE_ID: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
COMMAND_ID: Final = r"[0-9A-HJKMNP-TV-Z]{26}"  # a ULID
_COMMAND_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")


def is_tenant_id(text: str) -> bool:
    """Whether ``text`` may name a tenant."""
    return _TENANT.fullmatch(text) is not None


def is_device_id(text: str) -> bool:
    """Whether ``text`` may name a device inside its tenant."""
    return re.fullmatch(DEVICE_ID, text) is not None


def is_command_name(text: str) -> bool:
    """Whether ``text`` may name a command, e.g. ``reboot``."""
    return _COMMAND_NAME.fullmatch(text) is not None


def is_command_id(text: str) -> bool:
    """Whether ``text`` is a ULID in its canonical upper-case form."""
    return re.fullmatch(COMMAND_ID, text) is not None


def thing_name(tenant: str, device: str) -> str:
    """The IoT thing of a tenant's device: ``acme``, ``press-07`` -> ``acme--press-07``.

    Raises:
        WireError: an id is not of its form; then the tenant could not be read back from the name.
    """
    if not is_tenant_id(tenant):
        raise WireError(
            f"`{tenant}` is no tenant id: 2 to 32 characters of a-z, 0-9 and single inner `-`"
        )
    if not is_device_id(device):
        raise WireError(
            f"`{device}` is no device id: 1 to 64 characters of A-Z, a-z, 0-9, `_` and `-`,"
            " first a letter or digit"
        )
    return f"{tenant}--{device}"


def split_thing_name(thing: str) -> tuple[str, str]:
    """The tenant and device of a thing name.

    Raises:
        WireError: the name carries no tenant.
    """
    tenant, separator, device = thing.partition("--")
    if not separator or not is_tenant_id(tenant) or not is_device_id(device):
        raise WireError(f"`{thing}` is no thing name of the form <tenant>--<device>")
    return tenant, device
