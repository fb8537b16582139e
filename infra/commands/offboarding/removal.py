"""Takes away what no stack made: certificates, shadows, things, jobs, timers and rows.

Each function may be repeated, also by whoever comes after a `kill -9`: what is gone is passed over.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from infra import names
from infra.commands import shared_rows
from infra.commands.offboarding import traces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from infra.commands.account import Account, Belongings

_BATCH: Final = 25  # BatchWriteItem takes so many
_AGAIN_SECONDS: Final = 1.0
# AWS deletes a job when its executions are gone, ten jobs at once (source: AWS IoT API reference,
# DeleteJob).
_JOBS_SECONDS: Final = 900.0
# "It might take several seconds for the detachment to propagate" (source: AWS IoT API reference,
# DetachThingPrincipal), and until then DeleteThing and DeleteCertificate refuse.
_DETACHED_SECONDS: Final = 60.0


class LeftError(Exception):
    """Something could not be taken away; says what."""


def things(account: Account, belongings: Belongings) -> tuple[str, ...]:
    """Names of the tenant's things, those outside its thing group too."""
    listed = account.pages("iot", "list_things", "things")
    return tuple(
        sorted(thing["thingName"] for thing in listed if belongings.has(thing["thingName"]))
    )


def certificates(account: Account, belongings: Belongings, of: Iterable[str]) -> tuple[str, ...]:
    """ARNs of certificates that the tenant's things hold, or its device policy is attached to."""
    iot, found = account.client("iot"), set[str]()
    for thing in of:
        try:
            listed = account.pages("iot", "list_thing_principals", "principals", thingName=thing)
            found |= {one for one in listed if ":cert/" in one}
        except iot.exceptions.ResourceNotFoundException:  # deleted since it was listed
            continue
    policy = names.device_policy(belongings.tenant)
    try:
        listed = account.pages("iot", "list_targets_for_policy", "targets", policyName=policy)
        found |= {one for one in listed if ":cert/" in one}
    except iot.exceptions.ResourceNotFoundException:  # the stack is destroyed already
        pass
    return tuple(sorted(found))


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How it is waited for what AWS does in its own time.

    Attributes:
        now: seconds on a clock that nobody sets.
        pause: for so many seconds.
    """

    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep

    def until_detached(
        self, delete: Callable[[], object], refused: type[Exception], what: str
    ) -> None:
        """Delete something, again for as long as AWS says that something is attached to it.

        Raises:
            LeftError: it says so for a minute: somebody attaches it anew.
        """
        begun = self.now()
        while True:
            try:
                delete()
            except refused as error:
                if self.now() - begun > _DETACHED_SECONDS:
                    raise LeftError(f"{what} is not deleted: {error}; run it again") from error
                self.pause(_AGAIN_SECONDS)
            else:
                return


_PATIENT: Final = Patience()


def remove_certificate(
    account: Account, belongings: Belongings, arn: str, *, patience: Patience = _PATIENT
) -> bool:
    """Detach, deactivate and delete one certificate; whether it is gone.

    One that a thing or policy of somebody else holds too is taken from this tenant, and stays.

    Raises:
        LeftError: AWS goes on to refuse its deletion.
    """
    iot, identifier = account.client("iot"), arn.rsplit("/", 1)[1]
    try:
        holders = list(account.pages("iot", "list_principal_things", "things", principal=arn))
        attached = [
            policy["policyName"]
            for policy in account.pages("iot", "list_attached_policies", "policies", target=arn)
        ]
        own_policies = [policy for policy in attached if belongings.has(policy)]
        shared = len(own_policies) < len(attached) or not all(map(belongings.has, holders))
        if not shared:
            # First, so that the device is off even if the rest is not reached.
            iot.update_certificate(certificateId=identifier, newStatus="INACTIVE")
        for thing in filter(belongings.has, holders):
            iot.detach_thing_principal(thingName=thing, principal=arn)
        for policy in own_policies:
            iot.detach_policy(policyName=policy, target=arn)
        if not shared:
            patience.until_detached(
                partial(iot.delete_certificate, certificateId=identifier),
                iot.exceptions.DeleteConflictException,
                f"certificate {identifier}",
            )
    except iot.exceptions.ResourceNotFoundException:  # deleted by a run that was cut off
        return True
    return not shared


def remove_thing(account: Account, thing: str, *, patience: Patience = _PATIENT) -> None:
    """Delete a thing with its shadows, those first: of a thing that is gone nobody lists them.

    Raises:
        LeftError: AWS goes on to refuse its deletion.
    """
    data = account.client("iot-data")
    for shadow in list(traces.shadows_of(account, thing)):
        try:
            data.delete_thing_shadow(thingName=thing, **({"shadowName": shadow} if shadow else {}))
        except data.exceptions.ResourceNotFoundException:
            continue
    iot = account.client("iot")
    patience.until_detached(
        partial(iot.delete_thing, thingName=thing),
        iot.exceptions.InvalidRequestException,
        f"thing {thing}",
    )


def remove_jobs(account: Account, belongings: Belongings, *, patience: Patience = _PATIENT) -> int:
    """Delete the tenant's jobs, until none is listed any more; how many there were.

    Raises:
        LeftError: AWS has not deleted all of them in a quarter of an hour.
    """
    begun, seen = patience.now(), set[str]()
    while left := [job for job in _jobs(account) if belongings.has(job["jobId"])]:
        if patience.now() - begun > _JOBS_SECONDS:
            raise LeftError(f"{len(left)} jobs are not deleted yet: run it again")
        if seen:
            patience.pause(_AGAIN_SECONDS)
        for job in left:
            seen.add(job["jobId"])
            if job.get("status") != "DELETION_IN_PROGRESS":
                _remove_job(account.client("iot"), job["jobId"])
    return len(seen)


def _jobs(account: Account) -> Iterator[dict[str, Any]]:
    return account.pages("iot", "list_jobs", "jobs")


def _remove_job(iot: Any, job_id: str) -> None:
    """Delete a job, also one that is under way: its devices are shut out (`force`, DeleteJob)."""
    try:
        iot.delete_job(jobId=job_id, force=True)
    except (
        iot.exceptions.LimitExceededException,  # ten at once: the next look has room
        iot.exceptions.InvalidStateTransitionException,  # AWS is at it since it was listed
        iot.exceptions.ResourceNotFoundException,
    ):
        return


def remove_timers(account: Account, belongings: Belongings) -> int:
    """Delete the schedules that would wake the worker for the tenant; how many."""
    scheduler, count = account.client("scheduler"), 0
    for schedule in list(account.pages("scheduler", "list_schedules", "Schedules")):
        if belongings.has(schedule["Name"]):
            try:
                scheduler.delete_schedule(Name=schedule["Name"], GroupName=schedule["GroupName"])
            except scheduler.exceptions.ResourceNotFoundException:
                continue
            count += 1
    return count


def remove_rows(
    account: Account, belongings: Belongings, *, patience: Patience = _PATIENT
) -> dict[str, int]:
    """Delete the tenant's rows of all shared tables; table -> how many."""
    removed: dict[str, int] = {}
    for table in shared_rows.tables(account):
        keys = list(shared_rows.rows(account, table, belongings))
        for start in range(0, len(keys), _BATCH):
            _delete(account.client("dynamodb"), table, keys[start : start + _BATCH], patience)
        removed[table] = len(keys)
    return removed


def _delete(dynamodb: Any, table: str, keys: list[dict[str, Any]], patience: Patience) -> None:
    asked: dict[str, Any] = {table: [{"DeleteRequest": {"Key": key}} for key in keys]}
    while asked:  # what the table's rate leaves over comes back
        asked = dynamodb.batch_write_item(RequestItems=asked).get("UnprocessedItems", {})
        if asked:
            patience.pause(_AGAIN_SECONDS)
