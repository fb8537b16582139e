"""What it costs that a command is authorized: its token proved, and the policy store asked.

The reference is the usual way: PyJWT's ``PyJWKClient`` and ``jwt.decode``, then boto3, in a pool of
threads. Ours is what the service does, with its registry row, revocations and a tenant's role; that
a token was proved is remembered by it alone, and no decision by anybody.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import boto3
import jwt
import uvloop
from botocore.config import Config

from service.adapters.aws.authorizer import attribute_value
from service.adapters.aws.client.calls import AwsCalls
from service.adapters.aws.client.door import AwsDoor
from service.cedar.decision import Denied
from service.cedar.entities import USER
from service.cedar.request import ACTION, AuthorizationRequest
from service.cedar.values import EntityUid
from service.composition import aws_ports
from service.domain.devices import Device
from service.domain.instants import now_in_utc
from service.domain.permissions import Permission
from service.operations.operations import Operations
from service.operations.purpose import Purpose
from service.settings import Settings
from tests.benchmarks.boto3_door import THREADS
from tests.benchmarks.measured_service import RecordedPlatform
from tests.benchmarks.rows import Row, compare, interleaved
from tests.service.adapters.aws.answered_line import OWN, FixedCredentials

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from service.cedar.values import Value
    from service.domain.identities import Principal
    from service.domain.tenants import Tenant

_DECISIONS: Final = 400  # of one figure
_AT_ONCE: Final = 16


def rows(rounds: int) -> Iterator[Row]:
    """Sixteen commands at once, over one loop as the service has it."""
    with (
        RecordedPlatform.of(1) as platform,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        ours, theirs = _Ours(platform), _Theirs(platform)
        for one in (ours, theirs):
            runner.run(_cpu(one.authorize))
        reference, mine = interleaved(
            rounds,
            lambda: runner.run(_cpu(theirs.authorize)),
            lambda: runner.run(_cpu(ours.authorize)),
        )
        yield compare(
            name="PyJWT's and boto3's CPU for the authorization of a command, beside ours",
            ours=reference,
            reference=mine,
            unit="ms",
            at_least=8,
            note=f"boto3 in {THREADS} threads; both ask the policy store each time",
        )
        runner.run(ours.close())
        theirs.close()


class _Ours:
    """The service's own parts, over the recorded answers."""

    def __init__(self, platform: RecordedPlatform) -> None:
        settings = Settings.read(platform.settings)
        self._calls = AwsCalls(settings.aws)
        self._door = AwsDoor(settings.aws, max_tenants=1, own=FixedCredentials())
        self._operations = Operations(aws_ports(settings, self._calls, self._door), settings.tokens)
        self._header = f"Bearer {platform.token()}"
        self._device = _device(platform.tenants[0])

    async def authorize(self) -> None:
        """As a request of the API is."""
        principal = await self._operations.authenticate(self._header)
        request = _asked(self._device, principal.tenant, principal)
        decision = await self._operations.decisions.decide(principal, request)
        if isinstance(decision, Denied):
            raise AssertionError(decision.explanation)  # noqa: TRY004 - no type is at fault

    async def close(self) -> None:
        await self._operations.close()
        await self._door.close()
        self._calls.close()


class _Theirs:
    """What each token and each question costs without us; what is asked is made once."""

    def __init__(self, platform: RecordedPlatform) -> None:
        tenant = platform.tenants[0]
        self._token = platform.token()
        self._tenant = tenant
        self._keys = jwt.PyJWKClient(f"{platform.url}/{tenant.pool_id}/.well-known/jwks.json")
        self._pool = ThreadPoolExecutor(THREADS)
        session = boto3.Session(OWN.access_key, OWN.secret_key, OWN.token, region_name="x")
        make: Any = session.client  # typed for literal names of services only
        self._store = make(
            "verifiedpermissions",
            endpoint_url=platform.url,
            config=Config(max_pool_connections=THREADS),
        )
        request = _asked(_device(tenant), tenant)
        self._question = {
            "policyStoreId": tenant.policy_store_id,
            "action": {"actionType": ACTION, "actionId": request.action},
            "resource": _named(request.resource),
            "context": {"contextMap": _spelt(request.context)},
            "entities": {
                "entityList": [
                    {
                        "identifier": _named(one.uid),
                        "attributes": _spelt(one.attributes),
                        "parents": [_named(parent) for parent in one.parents],
                    }
                    for one in request.entities
                ]
            },
        }

    async def authorize(self) -> None:
        """In a thread, as boto3 has to be."""
        loop = asyncio.get_running_loop()
        if await loop.run_in_executor(self._pool, self._ask) != "ALLOW":
            raise AssertionError("it is recorded as allowed")

    def close(self) -> None:
        self._store.close()
        self._pool.shutdown()

    def _ask(self) -> str:
        jwt.decode(
            self._token,
            self._keys.get_signing_key_from_jwt(self._token),
            algorithms=["RS256"],
            audience=[*self._tenant.client_ids],
            issuer=self._tenant.issuer,
        )
        answer = self._store.is_authorized_with_token(identityToken=self._token, **self._question)
        return answer["decision"]


def _device(tenant: Tenant) -> Device:
    return Device(
        tenant=tenant.id,
        id="press-07",
        groups=("line",),
        attributes={"criticality": "high", "kind": "press"},
    )


def _asked(
    device: Device, tenant: Tenant, principal: Principal | None = None
) -> AuthorizationRequest:
    who = principal.entity_id if principal else ""
    return AuthorizationRequest.of(
        principal=EntityUid(USER, who),
        action=Permission.OPERATE_DEVICE,
        entities=device.entities(tenant.groups),
        context=Purpose(command="reboot").context(now_in_utc(), "127.0.0.1"),
    )


def _named(uid: EntityUid) -> dict[str, str]:
    return {"entityType": uid.type, "entityId": uid.id}


def _spelt(values: Mapping[str, Value]) -> dict[str, Any]:
    return {name: attribute_value(value) for name, value in values.items()}


async def _cpu(authorize: Callable[[], Awaitable[None]]) -> float:
    """Milliseconds of CPU for one."""
    left = iter(range(_DECISIONS))

    async def some() -> None:
        for _ in left:
            await authorize()

    begun = time.process_time()
    await asyncio.gather(*(some() for _ in range(_AT_ONCE)))
    return (time.process_time() - begun) * 1000 / _DECISIONS
