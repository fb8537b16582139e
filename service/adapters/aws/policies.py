"""Reads what a tenant's policy store holds, and which digest its stack says that it is to have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from service.bounded_cache import BoundedCache
from service.cedar.policy_set import Link, PolicySet
from service.cedar.values import EntityUid
from service.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.adapters.aws.client.calls import AwsCalls
    from service.adapters.aws.client.sessions import AwsSessions
    from service.domain.tenants import Tenant

_STORE: Final = "the policy store"
_PAGE: Final = 50  # of ListPolicies and ListPolicyTemplates (assumed: AWS names no most)
_BATCH: Final = 100  # policies of one BatchGetPolicy (botocore model, `requests`)
_TEMPLATE_SECONDS: Final = 24 * 3600
SCHEMA: Final = "schema"


class VerifiedPermissionsPolicies:
    """Answers ``ports.PolicyStores``: stores in the tenant's session, the digest in our own.

    A store answers ten calls a second of each kind (Verified Permissions quotas), to all processes
    together, and templates are read one by one: so a template is not read again while it is as it
    was.

    Args:
        table: the registry's.
        templates: remembered, of all tenants.
    """

    def __init__(
        self, *, calls: AwsCalls, sessions: AwsSessions, table: str, templates: int
    ) -> None:
        self.calls = calls
        self.sessions = sessions
        self.table = table
        self._templates: BoundedCache[tuple[str, str, str], str] = BoundedCache(
            max_entries=templates
        )

    async def expected(self, tenant: Tenant) -> str | None:
        item = await self.calls.run("the tenant registry", self._row, tenant)
        return None if item is None else str(item["digest"]["S"])

    async def versions(self, tenant: Tenant) -> Mapping[str, str]:
        policies = await self.calls.run(_STORE, self._policies, tenant)
        templates = await self.calls.run(_STORE, self._templates_of, tenant)
        schema = await self.calls.run(_STORE, self._schema, tenant)
        return {**policies, **templates, SCHEMA: str(schema["lastUpdatedDate"])}

    async def contents(self, tenant: Tenant) -> PolicySet:
        ids = list(await self.calls.run(_STORE, self._policies, tenant))
        static: dict[str, str] = {}
        links: list[Link] = []
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            for policy_id, definition in await self.calls.run(
                _STORE, self._definitions, tenant, batch
            ):
                if "static" in definition:
                    static[policy_id] = definition["static"]["statement"]
                else:
                    links.append(_link(policy_id, definition["templateLinked"]))
        schema = await self.calls.run(_STORE, self._schema, tenant)
        return PolicySet(
            schema=schema["schema"],
            static=static,
            templates=await self._used(tenant, {link.template for link in links}),
            links=tuple(links),
        )

    async def _used(self, tenant: Tenant, templates: set[str]) -> dict[str, str]:
        if not templates:
            return {}
        changed = await self.calls.run(_STORE, self._templates_of, tenant)
        used: dict[str, str] = {}
        for name in sorted(templates):
            key = (tenant.policy_store_id, name, changed.get(name, ""))
            known = self._templates.get(key)
            if known is None:
                known = await self.calls.run(_STORE, self._template, tenant, name)
                self._templates.put(key, known, seconds=_TEMPLATE_SECONDS)
            used[name] = known
        return used

    def _row(self, tenant: Tenant) -> dict[str, Any] | None:
        answer = self.sessions.own("dynamodb").get_item(
            TableName=self.table,
            Key={"issuer": {"S": digest_key(tenant.issuer)}},
            ConsistentRead=True,
        )
        return answer.get("Item")

    def _policies(self, tenant: Tenant) -> dict[str, str]:
        """Each policy's id with the moment of its last change; so below."""
        pages = (
            self._client(tenant)
            .get_paginator("list_policies")
            .paginate(policyStoreId=tenant.policy_store_id, PaginationConfig={"PageSize": _PAGE})
        )
        return {
            one["policyId"]: str(one["lastUpdatedDate"])
            for page in pages
            for one in page["policies"]
        }

    def _templates_of(self, tenant: Tenant) -> dict[str, str]:
        pages = (
            self._client(tenant)
            .get_paginator("list_policy_templates")
            .paginate(policyStoreId=tenant.policy_store_id, PaginationConfig={"PageSize": _PAGE})
        )
        return {
            one["policyTemplateId"]: str(one["lastUpdatedDate"])
            for page in pages
            for one in page["policyTemplates"]
        }

    def _definitions(self, tenant: Tenant, ids: list[str]) -> list[tuple[str, dict[str, Any]]]:
        store = tenant.policy_store_id
        answer = self._client(tenant).batch_get_policy(
            requests=[{"policyStoreId": store, "policyId": one} for one in ids]
        )
        # Fail closed: half a policy set says nothing about decisions.
        if answer["errors"] or len(answer["results"]) != len(ids):
            raise UpstreamError("the policy store changed while it was read")
        return [(one["policyId"], one["definition"]) for one in answer["results"]]

    def _template(self, tenant: Tenant, name: str) -> str:
        answer = self._client(tenant).get_policy_template(
            policyStoreId=tenant.policy_store_id, policyTemplateId=name
        )
        return str(answer["statement"])

    def _schema(self, tenant: Tenant) -> dict[str, Any]:
        return self._client(tenant).get_schema(policyStoreId=tenant.policy_store_id)

    def _client(self, tenant: Tenant) -> Any:
        return self.sessions.tenant(tenant, "verifiedpermissions")


def digest_key(issuer: str) -> str:
    """The key of the row with the digest, which stands beside the tenant's own."""
    return f"policies of {issuer}"


def _link(policy_id: str, definition: Mapping[str, Any]) -> Link:
    def entity(member: str) -> EntityUid:
        # Fail closed: our templates have two blanks, and what has one is not known here.
        if member not in definition:
            raise UpstreamError(f"a linked policy of the store has no {member}")
        return EntityUid(definition[member]["entityType"], definition[member]["entityId"])

    return Link(
        id=policy_id,
        template=definition["policyTemplateId"],
        principal=entity("principal"),
        resource=entity("resource"),
    )
