"""The one door to AWS: every call of the service goes through it, on the event loop.

An adapter says ``await aws.tenant(tenant, "dynamodb").call("Query", TableName=...)``: operations
and parameters as in AWS's model, answers as botocore parses them. The service's own credentials
sign what is asked of ``own``, the tenant's role what is asked of ``tenant``.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

from botocore import __version__ as models_version

from service import deadline
from service.adapters.aws.client.credentials import (
    SESSION_SECONDS,
    OwnCredentials,
    TenantCredentials,
)
from service.adapters.aws.client.failures import (
    AwsCallError,
    AwsRefusalError,
    NoAnswerError,
    NoTimeLeftError,
    UnreadableAnswerError,
    asked_part,
)
from service.adapters.aws.client.lanes import Lanes
from service.adapters.aws.client.line import HttpLine, Request
from service.adapters.aws.client.operations import AwsOperations
from service.adapters.aws.client.retries import Retries, RetryBudget, is_perhaps_done
from service.adapters.aws.client.signing import (
    AwsCredentials,
    presigned,
    signed,
    signed_form,
)
from service.bounded_cache import BoundedCache
from service.ports.metrics import AWS_CALLS, UNMEASURED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from service.adapters.aws.client.line import Line
    from service.domain.tenants import Tenant
    from service.ports.metrics import Metrics
    from service.settings import AwsSettings

_SERVICES: Final = frozenset(
    {"cognito-idp", "dynamodb", "iot", "iot-data", "s3", "verifiedpermissions"}
)
_BUDGET_SECONDS: Final = 3600
_HEADERS: Final = {
    "User-Agent": f"cedarfleet models/{models_version}",
    # A page's checksum is of what is on the line.
    "Accept-Encoding": "identity",
}


class OwnSigner(Protocol):
    """Whoever has the service's own credentials."""

    async def get(self) -> AwsCredentials:
        """What the service signs with."""
        ...


class AwsDoor:
    """Calls of AWS by service, bounded in number, attempts and time.

    Args:
        settings: region, endpoint and bounds of every call.
        max_tenants: whose credentials are kept at once.
        line: what carries them; ``None``: HTTP.
        own: the service's own credentials; ``None``: those that botocore finds.
        lanes: where calls wait for their turn; ``None``: as the settings share them.
        jitter: of the time between attempts, from 0 to 1.
        metrics: what is told of each call.

    Attributes:
        credentials: the tenants'.
    """

    def __init__(
        self,
        settings: AwsSettings,
        *,
        max_tenants: int,
        line: Line | None = None,
        own: OwnSigner | None = None,
        lanes: Lanes | None = None,
        jitter: Callable[[], float] = random.random,
        metrics: Metrics = UNMEASURED,
    ) -> None:
        self._settings = settings
        self._line: Line = line or HttpLine(settings)
        self._own: OwnSigner = own or OwnCredentials()
        self._metrics = metrics
        self._lanes = lanes or Lanes(settings)
        self._operations = AwsOperations(settings)
        self._retries = Retries(settings.max_attempts, jitter=jitter)
        self._once = Retries(1, jitter=jitter)
        self.credentials = TenantCredentials(self._assume, max_tenants=max_tenants)
        self._budgets: BoundedCache[tuple[str, str], RetryBudget] = BoundedCache(
            max_entries=8 * max_tenants
        )

    def own(self, service: str) -> Calls:
        """Calls with the credentials of the service itself."""
        return Calls(self, service, None, None)

    def tenant(
        self, tenant: Tenant, service: str, *, patience_seconds: float | None = None
    ) -> Calls:
        """Calls that can reach nothing but the tenant's things: its role says so, not we.

        Args:
            tenant: whose role is assumed.
            service: as botocore names it.
            patience_seconds: for calls that wait for somebody else: try once, for so long.
        """
        if service not in _SERVICES:
            raise ValueError(f"no tenant session for `{service}`")
        return Calls(self, service, tenant, patience_seconds)

    async def close(self) -> None:
        """End all connections."""
        await self._line.close()

    async def call(
        self,
        asked: Calls,
        name: str,
        parameters: dict[str, Any],
    ) -> dict[str, Any]:
        """One call with all its attempts; ``Calls.call`` says the rest."""
        part, lanes = asked_part(asked.service), self._lanes
        who = asked.who
        began, outcome = time.monotonic(), "no answer"
        limit = max(self._settings.deadline_seconds, asked.patience_seconds or 0)
        left = deadline.remaining()
        # Too little for one attempt: that nobody answered then says nothing of who was asked.
        is_short = left < min(limit, asked.patience_seconds or self._settings.read_seconds)
        try:
            if left <= 0:
                raise NoTimeLeftError(is_lost=False)
            end = asyncio.get_running_loop().time() + min(limit, left)
            if who is None:
                way, whose = lanes.own(part, until=end), ""
            else:
                way, whose = lanes.tenant(who.id, part, until=end), who.role_arn
            async with way:
                # Inside it ends by itself, so that its lane learns how.
                answer = await self._within(
                    end, asked, name, parameters, whose=whose, is_short=is_short
                )
            outcome = "ok"
        except TimeoutError:
            # It waited for its place: nothing was sent.
            raise _late(is_short=is_short, is_lost=False) from None
        except AwsRefusalError as error:
            outcome = error.code
            raise
        except UnreadableAnswerError:
            outcome = "unreadable"
            raise
        else:
            return answer
        finally:
            took = time.monotonic() - began
            self._metrics.observe(AWS_CALLS, took, asked.service, name, outcome)

    async def presigned(
        self, asked: Calls, name: str, parameters: dict[str, Any], *, seconds: int
    ) -> tuple[str, float]:
        """A URL of one call; ``Calls.presigned`` says the rest."""
        operation, now = self._operations.find(asked.service, name), datetime.now(UTC)
        unsigned = operation.request(parameters)
        source = self._own.get() if asked.who is None else self.credentials.get(asked.who)
        credentials = await source
        url = presigned(
            credentials,
            operation.scope,
            method=unsigned.method,
            url=unsigned.url,
            headers=unsigned.headers,
            seconds=seconds,
            at=now,
        )
        until = now.timestamp() + seconds
        return url, until if credentials.expires_at is None else min(until, credentials.expires_at)

    async def form(
        self, asked: Calls, *, bucket: str, key: str, most_bytes: int, seconds: int
    ) -> tuple[str, dict[str, str]]:
        """A form of S3; ``Calls.form`` says the rest."""
        # An operation of nothing but the bucket: its URL is where forms go (docs: S3 API reference,
        # "POST Object").
        operation = self._operations.find(asked.service, "HeadBucket")
        source = self._own.get() if asked.who is None else self.credentials.get(asked.who)
        fields = signed_form(
            await source,
            operation.scope,
            bucket=bucket,
            key=key,
            most_bytes=most_bytes,
            seconds=seconds,
            at=datetime.now(UTC),
        )
        return operation.request({"Bucket": bucket}).url, fields

    async def _within(
        self,
        end: float | None,
        asked: Calls,
        name: str,
        parameters: dict[str, Any],
        *,
        whose: str,
        is_short: bool = False,
    ) -> dict[str, Any]:
        """The attempts, until the end of all of the call."""
        try:
            async with asyncio.timeout_at(end):
                return await self._attempts(asked, name, parameters, (whose, asked.service))
        except TimeoutError:
            raise _late(is_short=is_short, is_lost=True) from None

    async def _attempts(
        self, asked: Calls, name: str, parameters: dict[str, Any], key: tuple[str, str]
    ) -> dict[str, Any]:
        operation = self._operations.find(asked.service, name)
        unsigned = operation.request(parameters)
        patience = asked.patience_seconds
        retries = self._retries if patience is None else self._once
        context, attempt, may_be_done = None, 1, False
        while True:
            # Anew each time: a signature is of its second, and credentials may have been refreshed.
            source = self._own.get() if asked.who is None else self.credentials.get(asked.who)
            request = Request(
                service=asked.service,
                operation=name,
                parameters=parameters,
                method=unsigned.method,
                url=unsigned.url,
                headers=signed(
                    await source,
                    operation.scope,
                    method=unsigned.method,
                    url=unsigned.url,
                    headers={**_HEADERS, **unsigned.headers},
                    body=unsigned.body,
                    at=datetime.now(UTC),
                ),
                body=unsigned.body,
            )
            try:
                reply = await self._line.send(
                    request, seconds=patience or self._settings.read_seconds
                )
                answer = operation.answer(reply)
            except AwsCallError as failure:
                failure.was_lost = may_be_done
                may_be_done = may_be_done or is_perhaps_done(failure)
                context = retries.context(operation, attempt, failure)
                if not retries.is_repeated(operation, failure, context):
                    raise
                budget = self._budgets.get(key) or RetryBudget()
                self._budgets.put(key, budget, seconds=_BUDGET_SECONDS)
                if not budget.take(context):
                    raise
                await asyncio.sleep(retries.seconds(context))
                attempt += 1
            else:
                if (used := self._budgets.get(key)) is not None:
                    used.succeeded(context)
                return answer

    async def _assume(self, tenant: Tenant) -> AwsCredentials:
        # In no lane of the service: it stands in the tenant's, and no other tenant's is cut off.
        answer = await self._within(
            asyncio.get_running_loop().time() + self._settings.deadline_seconds,
            self.own("sts"),
            "AssumeRole",
            {
                "RoleArn": tenant.role_arn,
                "RoleSessionName": f"service-{tenant.id}",
                "DurationSeconds": SESSION_SECONDS,
            },
            whose=tenant.role_arn,
        )
        try:
            given = answer["Credentials"]
            return AwsCredentials(
                access_key=given["AccessKeyId"],
                secret_key=given["SecretAccessKey"],
                token=given["SessionToken"],
                expires_at=given["Expiration"].timestamp(),
            )
        except (KeyError, TypeError, AttributeError):
            raise UnreadableAnswerError("AssumeRole", "credentials are missing") from None


def _late(*, is_short: bool, is_lost: bool) -> NoAnswerError:
    """No answer came: within the request's time, or within what a call may take."""
    if is_short:
        return NoTimeLeftError(is_lost=is_lost)
    return NoAnswerError("deadline", is_lost=is_lost)


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of one service, as the service itself or as one tenant.

    Attributes:
        door: through which they go.
        service: as botocore names it.
        who: the tenant; ``None``: the service itself.
        patience_seconds: try once, for so long; ``None``: as the settings say.
    """

    door: AwsDoor
    service: str
    who: Tenant | None
    patience_seconds: float | None

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """What AWS answers, as botocore parses it, without its metadata.

        Args:
            operation: as AWS's model names it, e.g. ``GetItem``.
            **parameters: of the operation, as AWS's model names them; they are not checked here.

        Raises:
            AwsRefusalError: AWS said no, after all attempts that are safe to make.
            NoAnswerError: nobody answered in time.
            UnreadableAnswerError: what answered is not of the form that AWS's model says.
            UnavailableError: cut off for now, or too many calls of the tenant wait.
        """
        return await self.door.call(self, operation, parameters)

    async def presigned(
        self, operation: str, *, seconds: int, **parameters: Any
    ) -> tuple[str, float]:
        """The URL of a call of S3, and when it ends, in seconds since the epoch.

        Whoever has it may make the call, with the headers that the parameters become, until it or
        the credentials end.

        Args:
            operation: as of ``call``.
            seconds: for which it lasts at most.
            **parameters: of the operation, without a body.

        Raises:
            AwsCallError: nobody gives credentials.
        """
        return await self.door.presigned(self, operation, parameters, seconds=seconds)

    async def form(
        self, *, bucket: str, key: str, most_bytes: int, seconds: int
    ) -> tuple[str, dict[str, str]]:
        """Where a form that writes one object of S3 is sent, and its fields in front of the file.

        Whoever has them may write the object, once or again, until they or the credentials end.

        Args:
            bucket: of the object.
            key: of the object.
            most_bytes: of what is written; one at least.
            seconds: for which it lasts at most.

        Raises:
            AwsCallError: nobody gives credentials.
        """
        return await self.door.form(
            self, bucket=bucket, key=key, most_bytes=most_bytes, seconds=seconds
        )

    async def pages(self, operation: str, **parameters: Any) -> AsyncIterator[list[dict[str, Any]]]:
        """The items of each page of a query of DynamoDB, each asked for as it is wanted.

        Args:
            operation: ``Query``.
            **parameters: of the operation; ``Limit``: rows that are asked for at once.

        Raises:
            AwsCallError: as ``call``.
        """
        while True:
            page = await self.call(operation, **parameters)
            yield page["Items"]
            if not page.get("LastEvaluatedKey"):
                return
            parameters["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    async def rows(
        self, operation: str, *, most: int | None = None, **parameters: Any
    ) -> list[dict[str, Any]]:
        """All items of a query of DynamoDB, or the first ``most`` of them.

        Args:
            operation: ``Query``.
            most: as many are read; ``None``: all.
            **parameters: as of ``pages``.
        """
        rows: list[dict[str, Any]] = []
        while True:
            page = await self.call(operation, **parameters)
            rows += page["Items"]
            if most is not None and len(rows) >= most:
                return rows[:most]
            if not page.get("LastEvaluatedKey"):
                return rows
            parameters["ExclusiveStartKey"] = page["LastEvaluatedKey"]
