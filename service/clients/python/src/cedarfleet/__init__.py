"""Client of the Cedarfleet API: devices, commands, rollouts and permissions of one tenant.

::

    with cedarfleet.Fleet("https://api.example.com", token) as fleet:
        for device in fleet.devices(connected=True):
            sent = fleet.send(device.id, "reboot", reason="nightly")
            print(fleet.wait_for_command(sent.id).state)

``AsyncFleet`` is the same to be awaited. Signing in: ``cedarfleet.sign_in``.
"""

from cedarfleet.async_client import AsyncFleet
from cedarfleet.client import Fleet
from cedarfleet.errors import (
    ApiError,
    BusyError,
    CedarfleetError,
    ConflictError,
    NotEndedError,
    NotFoundError,
    NotSignedInError,
    RefusedError,
    SignInError,
    UnexpectedAnswerError,
    UnreachableError,
    UploadError,
)
from cedarfleet.uploading import Package

__all__ = [
    "ApiError",
    "AsyncFleet",
    "BusyError",
    "CedarfleetError",
    "ConflictError",
    "Fleet",
    "NotEndedError",
    "NotFoundError",
    "NotSignedInError",
    "Package",
    "RefusedError",
    "SignInError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "UploadError",
]
