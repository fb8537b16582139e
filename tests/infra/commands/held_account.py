"""An account of one tenant in memory: what commands of the operator ask of it, and no more.

Each call is counted, and one of them can be made to fail, so that a test cuts a command off there.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import botocore.session

from infra import names
from infra.commands.suspension import Aws, Tenant

if TYPE_CHECKING:
    from collections.abc import Callable

ISSUER: Final = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_globex"
STORE: Final = "store-of-globex"
TABLE: Final = "tenants"
_MODEL: Final = botocore.session.get_session().get_service_model("cognito-idp")


class CutOffError(Exception):
    """The command was killed, or AWS did not answer."""


class RefusedError(Exception):
    """AWS refused: a condition, a limit, or nothing of that name."""


class HeldAccount:
    """A tenant `globex` that is on, with two things, two app clients and jobs.

    Attributes:
        rows: of the table of tenants, by issuer.
        policies: of the policy store, by id.
        clients: of the user pool, by id.
        versions: of the policy of devices; the default is `default`.
        jobs: id -> state; `forced` are those that were canceled with a device at them.
        connected: how many more times each thing comes back.
        ended: what each `delete_connection` was asked.
        told: of what the event bus took.
        calls: names of calls so far.
        cut_off_at: number of the call that fails, from 0; it has done its work if `late`.
    """

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {
            ISSUER: {
                "issuer": {"S": ISSUER},
                "tenant": {"S": "globex"},
                "policy_store_id": {"S": STORE},
                "status": {"S": "ACTIVE"},
            },
            f"policies of {ISSUER}": {
                "issuer": {"S": f"policies of {ISSUER}"},
                "digest": {"S": "digest-1"},
            },
        }
        self.policies: dict[str, dict[str, Any]] = {
            "linked": {"templateLinked": {"policyTemplateId": "a"}},
            "own": {"static": {"description": "own", "statement": "permit(principal);"}},
            "plain": {"static": {"statement": "permit(principal);"}},
        }
        self.clients: dict[str, dict[str, Any]] = {
            "app": {
                "UserPoolId": "eu-central-1_globex",
                "ClientId": "app",
                "ClientName": "app",
                "ExplicitAuthFlows": ["ALLOW_USER_SRP_AUTH"],
                "AllowedOAuthFlows": ["code"],
                "AllowedOAuthScopes": ["openid"],
                "AllowedOAuthFlowsUserPoolClient": True,
                "SupportedIdentityProviders": ["COGNITO"],
                "DefaultRedirectURI": "",
                "ClientSecret": "secret",
                "CreationDate": "a day",
            },
            "machine": {
                "UserPoolId": "eu-central-1_globex",
                "ClientId": "machine",
                "ClientName": "machine",
                "AllowedOAuthFlows": ["client_credentials"],
                "AllowedOAuthFlowsUserPoolClient": True,
            },
        }
        self.versions = {"3": "permit"}
        self.default = "3"
        self.most_versions = 5
        self.jobs = {"globex--one": "IN_PROGRESS", "acme--one": "IN_PROGRESS"}
        self.forced: list[str] = []
        self.connected = {"globex--press-01": 0, "globex--press-02": 0}
        self.ended: list[dict[str, Any]] = []
        self.told: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.cut_off_at = -1
        self.late = False

    def state(self) -> dict[str, Any]:
        """All that there is, but for what a version of a policy is called."""
        rows = {key: row for key, row in self.rows.items() if not key.startswith("suspension of ")}
        return copy.deepcopy(
            {
                "rows": rows,
                "policies": [*self.policies.values()],
                "clients": self.clients,
                "policy": self.versions[self.default],
                "jobs": self.jobs,
            }
        )

    def aws(self) -> Aws:
        """Its clients."""
        return Aws(
            dynamodb=self._client(_Rows(self), "ConditionalCheckFailedException"),
            permissions=self._client(_Policies(self)),
            cognito=self._client(_Pool(self)),
            iot=self._client(_Iot(self), "VersionsLimitExceededException"),
            data=self._client(_Data(self), "ResourceNotFoundException"),
            table=TABLE,
        )

    def tenant(self) -> Tenant:
        """The tenant, as its row says."""
        return Tenant.find(self.aws(), "globex")

    def client(self, service: str) -> Any:
        """As an `Account` asks for one."""
        found = {"dynamodb": _Rows(self), "events": _Bus(self), "sts": _Caller()}[service]
        return self._client(found, "ConditionalCheckFailedException")

    def _client(self, of: object, *refusals: str) -> Any:
        exceptions = SimpleNamespace(**dict.fromkeys(refusals, RefusedError))
        return _Counted(self, of, exceptions)


class _Counted:
    """A client whose calls are counted."""

    def __init__(self, account: HeldAccount, of: object, exceptions: object) -> None:
        self._account, self._of = account, of
        self.exceptions = exceptions
        self.meta = SimpleNamespace(service_model=_MODEL)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._of, name)
        if name == "get_paginator":
            return lambda paged: SimpleNamespace(paginate=self._counted(getattr(self._of, paged)))
        return self._counted(call)

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(**asked: Any) -> Any:
            account = self._account
            fails = len(account.calls) == account.cut_off_at
            account.calls.append(call.__name__)
            if fails:
                if account.late:
                    with suppress(RefusedError):
                        call(**asked)
                raise CutOffError(call.__name__)
            answer = call(**asked)
            return copy.deepcopy(list(answer) if isinstance(answer, Iterator) else answer)

        return counted


class _Part:
    """Of an account, what one service has."""

    def __init__(self, account: HeldAccount) -> None:
        self.held = account

    def get_paginator(self, _: str) -> None:
        """See `_Counted`."""


class _Rows(_Part):
    def query(self, **asked: Any) -> Any:
        wanted = asked["ExpressionAttributeValues"][":tenant"]
        return {"Items": [row for row in self.held.rows.values() if row.get("tenant") == wanted]}

    def get_item(self, **asked: Any) -> Any:
        assert asked["ConsistentRead"] is True
        found = self.held.rows.get(asked["Key"]["issuer"]["S"])
        return {} if found is None else {"Item": found}

    def put_item(self, **asked: Any) -> Any:
        self._check(asked["Item"]["issuer"]["S"], asked)
        self.held.rows[asked["Item"]["issuer"]["S"]] = asked["Item"]

    def update_item(self, **asked: Any) -> Any:
        key = asked["Key"]["issuer"]["S"]
        self._check(key, asked)
        assert asked["UpdateExpression"] == "SET #column = :value"
        column = asked["ExpressionAttributeNames"]["#column"]
        self.held.rows[key][column] = asked["ExpressionAttributeValues"][":value"]

    def delete_item(self, **asked: Any) -> Any:
        key = asked["Key"]["issuer"]["S"]
        self._check(key, asked)
        self.held.rows.pop(key, None)

    def _check(self, key: str, asked: dict[str, Any]) -> None:
        row = self.held.rows.get(key)
        for condition in asked.get("ConditionExpression", "").split(" AND "):
            if condition == "attribute_exists(issuer)":
                holds = row is not None
            elif condition == "attribute_not_exists(issuer)":
                holds = row is None
            elif condition:
                name, _, value = condition.partition(" = ")
                column = asked.get("ExpressionAttributeNames", {}).get(name, name)
                wanted = asked["ExpressionAttributeValues"][value]
                holds = row is not None and row.get(column) == wanted
            else:
                continue
            if not holds:
                raise RefusedError(condition)


class _Policies(_Part):
    def list_policies(self, **asked: Any) -> Iterator[Any]:
        assert asked["policyStoreId"] == STORE
        for key, value in self.held.policies.items():
            definition = {kind: {**of} for kind, of in value.items()}
            yield {"policies": [{"policyId": key, "definition": definition}]}

    def create_policy(self, **asked: Any) -> Any:
        assert asked["policyStoreId"] == STORE
        self.held.policies[f"new-{len(self.held.calls)}"] = asked["definition"]

    def delete_policy(self, **asked: Any) -> Any:
        assert asked["policyStoreId"] == STORE
        del self.held.policies[asked["policyId"]]


class _Pool(_Part):
    def list_user_pool_clients(self, **_: Any) -> Iterator[Any]:
        for key in self.held.clients:
            yield {"UserPoolClients": [{"ClientId": key}]}

    def describe_user_pool_client(self, **asked: Any) -> Any:
        return {"UserPoolClient": self.held.clients[asked["ClientId"]]}

    def update_user_pool_client(self, **asked: Any) -> Any:
        """Replaces every setting; what is not named takes its default."""
        before = self.held.clients[asked["ClientId"]]
        given = {key: before[key] for key in ("ClientSecret", "CreationDate") if key in before}
        empty = {"DefaultRedirectURI": ""} if "DefaultRedirectURI" in before else {}
        self.held.clients[asked["ClientId"]] = {**empty, **given, **asked}


class _Iot(_Part):
    def get_policy(self, **asked: Any) -> Any:
        assert asked["policyName"] == names.device_policy("globex")
        default = self.held.default
        return {"policyDocument": self.held.versions[default], "defaultVersionId": default}

    def create_policy_version(self, **asked: Any) -> Any:
        if len(self.held.versions) == self.held.most_versions:
            raise RefusedError("VersionsLimitExceededException")
        version = str(max(map(int, self.held.versions)) + 1)
        self.held.versions[version] = asked["policyDocument"]
        assert asked["setAsDefault"] is True
        self.held.default = version

    def set_default_policy_version(self, **asked: Any) -> Any:
        assert asked["policyVersionId"] in self.held.versions
        self.held.default = asked["policyVersionId"]

    def delete_policy_version(self, **asked: Any) -> Any:
        assert asked["policyVersionId"] != self.held.default
        del self.held.versions[asked["policyVersionId"]]

    def list_jobs(self, **asked: Any) -> Iterator[Any]:
        for job, status in self.held.jobs.items():
            yield {"jobs": [{"jobId": job}] if status == asked["status"] else []}

    def cancel_job(self, **asked: Any) -> Any:
        self.held.jobs[asked["jobId"]] = "CANCELED"
        if asked["force"]:
            self.held.forced.append(asked["jobId"])

    def list_things_in_thing_group(self, **asked: Any) -> Iterator[Any]:
        assert asked["thingGroupName"] == names.thing_group("globex")
        for thing in self.held.connected:
            yield {"things": [thing]}


class _Data(_Part):
    def delete_connection(self, **asked: Any) -> Any:
        if not self.held.connected[asked["clientId"]]:
            raise RefusedError("ResourceNotFoundException")
        self.held.connected[asked["clientId"]] -= 1
        self.held.ended.append(asked)


class _Bus(_Part):
    def put_events(self, **asked: Any) -> Any:
        self.held.told += asked["Entries"]
        return {"Entries": [{"EventId": "1"} for _ in asked["Entries"]]}


class _Caller:
    def get_caller_identity(self) -> Any:
        return {"Arn": "arn:aws:iam::1:user/operator"}
