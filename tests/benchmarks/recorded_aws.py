"""AWS as recorded answers, in a process of its own: so that no emulator is what is measured.

Run as ``python -m tests.benchmarks.recorded_aws``: reads a line of JSON, how many tenants there are
and the keys that their tokens are signed with, says where it listens as another, and answers until
its standard input ends. Every call is answered as AWS does when all is well, but for the devices
table of one tenant, if it is told so: that never answers. Of what a call asks, only what decides
the answer is looked at; answers are made once and then sent again.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.policies import digest_key
from service.adapters.memory.user_pool import MemoryUserPool
from service.cedar.digest import policies_digest
from service.domain.rates import MOST_PER_SECOND
from tests.service.adapters.aws.every_call import ID, stored
from tests.service.stamped_policies import stamped

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.cedar.policy_set import PolicySet
    from service.domain.tenants import Tenant

PAGE: Final = 100
_PLENTY: Final = {"per_second": str(MOST_PER_SECOND), "burst": str(MOST_PER_SECOND)}
_AT: Final = "2026-01-01T00:00:00Z"
_ALLOW: Final = {
    "decision": "ALLOW",
    "determiningPolicies": [{"policyId": "SP0001"}],
    "errors": [],
}
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TARGET: Final = re.compile(rb"\r\nx-amz-target: *\w+\.(\w+)", re.IGNORECASE)
_ROLE_XML: Final = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleResult><Credentials><AccessKeyId>ASIARECORDED00000000</AccessKeyId>
<SecretAccessKey>recorded</SecretAccessKey><SessionToken>recorded</SessionToken>
<Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>
</AssumeRoleResponse>"""


def tenants_of(pool: MemoryUserPool, count: int) -> list[Tenant]:
    """As many tenants as one wants, whose pools sign with one key: making keys is not measured."""
    first = pool.tenant
    # A decision by a policy that the stack does not name would be held against the grants of now.
    names = {f"SP{number:04}": name for number, name in enumerate(stamped(first).static)}
    return [
        replace(
            first,
            id=f"tenant-{number:04}",
            issuer=f"{first.issuer}{number:04}",
            policy_store_id=f"PStenant{number:04}",
            role_arn=f"arn:aws:iam::123456789012:role/cedarfleet-tenant-{number:04}",
            thing_group=f"tenant-{number:04}",
            bucket=f"tenant-{number:04}-artifacts",
            groups={"line": ()},
            policy_names=names,
        )
        for number in range(count)
    ]


def device_rows(tenant: str, device: str) -> list[dict[str, Any]]:
    """What the devices table holds of one device."""
    key = {"partition": {"S": f"{tenant}--devices"}}
    return [
        {**key, "sk": {"S": f"{device}#born#thing-1"}, "at": {"N": "1"}},
        {
            **key,
            "sk": {"S": f"{device}#connected"},
            "at": {"N": "2"},
            "version_number": {"N": "1"},
        },
        {
            **key,
            "sk": {"S": f"{device}#facts"},
            "attributes": {"M": {"criticality": {"S": "high"}, "kind": {"S": "press"}}},
            "groups": {"L": [{"S": "line"}]},
            "tags": {"M": {"building": {"S": "7"}}},
            "version": {"N": "1"},
            "origin": {"S": "thing-1"},
            "created_at": {"N": "1"},
            "changed_at": {"N": "1"},
            "changed_by": {"S": "somebody"},
        },
    ]


class Answers:
    """What AWS says to each call; by what decides it, so that it is made once."""

    def __init__(self, tenants: int, keys: dict[str, Any], hanging: str | None) -> None:
        self._hanging = hanging
        self._tenants = {one.issuer: one for one in tenants_of(MemoryUserPool("acme"), tenants)}
        self._stores = {one.policy_store_id: one for one in self._tenants.values()}
        self._digests = {digest_key(one.issuer): one for one in self._tenants.values()}
        self._keys = json.dumps(keys).encode()
        self._made: dict[object, bytes] = {}
        self._said: dict[str, str] = {}

    def to(self, head: bytes, body: bytes) -> bytes:
        """The whole answer to a call; empty: none."""
        target = _TARGET.search(head)
        if target is not None and target[1] == b"BatchGetItem":
            return self._digests_of(json.loads(body)["RequestItems"])
        if target is not None:
            return self._of_target(target[1].decode(), json.loads(body))
        path = head.split(b" ", 2)[1]
        if path.endswith(b"jwks.json"):
            return self._once("keys", lambda: self._keys)
        if b"Action=AssumeRole" in body:
            return self._once("role", _ROLE_XML.encode, kind="text/xml")
        if path.startswith(b"/connections/") and head.startswith(b"GET"):
            told = b'{"connected": true, "connectedSince": 1}'
            return self._once("connection", lambda: told)
        return self._once("empty", lambda: b"{}")

    def _of_target(self, operation: str, asked: dict[str, Any]) -> bytes:
        key: object = operation
        make: Callable[[], bytes] = lambda: b"{}"  # noqa: E731 - one of several
        match operation:
            case "GetItem" if "issuer" in asked["Key"]:
                issuer = asked["Key"]["issuer"]["S"]
                key, make = ("tenant", issuer), lambda: self._row(issuer)
            case "GetItem":
                item = self._stored(asked["Key"])
                key, make = None, lambda: json.dumps({"Item": item}).encode()
            case "ListPolicies" | "ListPolicyTemplates" | "GetSchema":
                store = asked["policyStoreId"]
                key, make = (operation, store), lambda: self._policies(operation, store)
            case "BatchGetPolicy":
                store = asked["requests"][0]["policyStoreId"]
                key, make = (operation, store), lambda: self._policies(operation, store)
            case "Query" if "devices" in asked["TableName"]:
                values = asked["ExpressionAttributeValues"]
                tenant = values[":own"]["S"].removesuffix("--devices")
                prefix = values.get(":prefix", {}).get("S", "")
                if tenant == self._hanging:
                    return b""
                key, make = ("devices", tenant, prefix), lambda: _devices(tenant, prefix)
            case "Query":
                make = lambda: b'{"Items": []}'  # noqa: E731
            case "UpdateItem":
                make = lambda: b'{"Attributes": {"full_at": {"N": "1"}}}'  # noqa: E731
            case "IsAuthorizedWithToken" | "BatchIsAuthorizedWithToken":
                of = [_ALLOW] * len(asked.get("requests", ()))
                key, make = (operation, len(of)), lambda: _allowed(of)
            case _:
                pass
        return self._once(key, make)

    def _stored(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["partition"]["S"].endswith("--people"):
            # The key that what is said of a person is sealed with in the audit trail.
            return asked | {"secret": {"S": "A" * 44}}
        return stored(asked, next(iter(self._tenants.values())))

    def _policies(self, operation: str, store: str) -> bytes:
        held = _held(self._stores[store])
        told = {"policyStoreId": store, "createdDate": _AT, "lastUpdatedDate": _AT}
        listed = [
            told | {"policyId": name, "policyType": "STATIC", "effect": "Permit"}
            for name in held.static
        ]
        match operation:
            case "ListPolicies":
                answer: dict[str, Any] = {
                    "policies": [one | {"definition": {"static": {}}} for one in listed]
                }
            case "ListPolicyTemplates":
                answer = {"policyTemplates": []}
            case "GetSchema":
                answer = told | {"schema": held.schema}
            case _:
                texts = [{"static": {"statement": one}} for one in held.static.values()]
                results = zip(listed, texts, strict=True)
                answer = {
                    "results": [one | {"definition": text} for one, text in results],
                    "errors": [],
                }
        return json.dumps(answer).encode()

    def _digests_of(self, asked: dict[str, Any]) -> bytes:
        """The rows of many tenants; each digest is made once."""
        [(table, wanted)] = asked.items()
        items: list[dict[str, Any]] = []
        for key in wanted["Keys"]:
            name = key["issuer"]["S"]
            if name not in self._said:
                self._said[name] = policies_digest(_held(self._digests[name]))
            items.append(key | {"digest": {"S": self._said[name]}})
        body = json.dumps({"Responses": {table: items}, "UnprocessedKeys": {}}).encode()
        return self._once(None, lambda: body)

    def _row(self, issuer: str) -> bytes:
        tenant = self._tenants.get(issuer)
        if tenant is None:
            return b"{}"
        item = stored({"issuer": {"S": issuer}}, tenant)
        item["budgets"] = {
            "M": {
                name: {"M": {part: {"S": text} for part, text in _PLENTY.items()}}
                for name in tenant.budgets
            }
        }
        return json.dumps({"Item": item}).encode()

    def _once(
        self, key: object, make: Callable[[], bytes], *, kind: str = "application/x-amz-json-1.0"
    ) -> bytes:
        made = self._made.get(key)
        if made is None:
            body = make()
            made = (
                f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nx-amzn-RequestId: {ID}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            ).encode() + body
            if key is not None:
                self._made[key] = made
        return made


def _allowed(of_each: list[dict[str, Any]]) -> bytes:
    """The answer to one question, or to a batch."""
    return json.dumps({"results": of_each} if of_each else _ALLOW).encode()


def _devices(tenant: str, prefix: str) -> bytes:
    """One device's rows, or a page's and those of the device behind it."""
    names = [prefix.rstrip("#")] if prefix else [f"press-{one:05}" for one in range(PAGE + 1)]
    rows = [row for name in names for row in device_rows(tenant, name)]
    return json.dumps({"Items": rows}).encode()


def _held(tenant: Tenant) -> PolicySet:
    """The tenant's policies, by ids of the store."""
    held = stamped(tenant)
    static = {f"SP{number:04}": text for number, text in enumerate(held.static.values())}
    return replace(held, static=static)


class Connection(asyncio.Protocol):
    """One connection of the service."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._transport: asyncio.Transport | None = None
        self._waiting = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where answers go."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each call that is there whole."""
        self._waiting += data
        while (end := self._waiting.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._waiting[:end])
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._waiting) < whole:
                if b"100-continue" in head and self._transport is not None:
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            body = bytes(self._waiting[end + 4 : whole])
            del self._waiting[:whole]
            if self._transport is not None:
                self._transport.write(self._answers.to(head, body))


async def _serve(answers: Answers) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(answers), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    print(json.dumps({"url": f"http://{host}:{port}"}), flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(Answers(**json.loads(sys.stdin.buffer.readline()))))
