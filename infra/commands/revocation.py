"""Puts a device off the platform: certificates revoked, connections ended until it stays away.

A revoked certificate is turned away "within a few minutes" only (source: AWS IoT API reference,
"UpdateCertificate"), and who is disconnected "can immediately attempt to reconnect" (source: AWS
IoT developer guide, "DeleteConnection"). That a reconnect was refused is told by nobody: a failed
handshake is no event. So the connection is deleted again and again, until there has been none for
as long as a certificate may linger.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUIET_SECONDS: Final = 300.0
MOST_SECONDS: Final = 1800.0
# Twice as often as AWS lets one client connect; of 100 calls a second that the account has.
_EVERY_SECONDS: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class Watch:
    """How long a device is watched, by which clock.

    Attributes:
        quiet_seconds: without a connection, after which it counts as refused.
        most_seconds: after which the watch is given up.
        now: seconds of a clock that is never set back.
        pause: waits so many seconds.
    """

    quiet_seconds: float = QUIET_SECONDS
    most_seconds: float = MOST_SECONDS
    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


def revoke(iot: Any, data: Any, thing: str, *, watch: Watch, say: Callable[[str], None]) -> bool:
    """Revoke all certificates of a thing, and end its connection with session and will.

    Args:
        iot: a client of IoT Core's registry.
        data: a client of the account's own data plane.
        thing: its name, which is its client id.
        watch: when it is known to stay away.
        say: told of each step.

    Returns:
        Whether it stays away. Otherwise its certificates are revoked all the same.

    Raises:
        botocore.exceptions.ClientError: AWS refused; what was said until then is done.
    """
    known: set[str] = set()
    for certificate in _certificates(iot, thing):
        iot.update_certificate(certificateId=certificate, newStatus="REVOKED")
        known.add(certificate)
        say(f"{thing}: certificate {certificate} is revoked")
    if not known:
        say(f"{thing}: holds no certificate")
    begun = last = watch.now()
    times = 0
    while (now := watch.now()) - last < watch.quiet_seconds:
        if now - begun > watch.most_seconds:
            say(f"{thing}: comes back still, {now - begun:.0f} s after it was revoked")
            return False
        if _disconnect(data, thing):
            last, times = watch.now(), times + 1
            if times == 1:
                say(f"{thing}: was disconnected, and is watched for {watch.quiet_seconds:.0f} s")
        watch.pause(_EVERY_SECONDS)
    # A renewal that was under way: the new certificate is let in.
    if new := sorted(set(_certificates(iot, thing)) - known):
        say(f"{thing}: has been given another certificate, {', '.join(new)}")
        return False
    came = f"{times} times, last after {last - begun:.1f} s" if times else "never, it was not there"
    say(f"{thing}: stays away; disconnected {came}; took {watch.now() - begun:.0f} s")
    return True


def _certificates(iot: Any, thing: str) -> Iterator[str]:
    for page in iot.get_paginator("list_thing_principals").paginate(thingName=thing):
        for principal in page["principals"]:
            _, of_certificate, identifier = principal.partition(":cert/")
            if of_certificate:
                yield identifier


def _disconnect(data: Any, thing: str) -> bool:
    """Whether there was a connection, or a session that waited for one."""
    try:
        data.delete_connection(clientId=thing, cleanSession=True, preventWillMessage=True)
    except data.exceptions.ResourceNotFoundException:
        return False
    return True
