"""Reads what a tenant's policy store holds, and which digest its stack says that it is to have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog

from service.adapters.aws.client.failures import asks
from service.bounded_cache import BoundedCache
from service.cedar.policy_set import Link, PolicySet
from service.cedar.values import EntityUid
from service.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from service.adapters.aws.client.door import AwsDoor, Calls
    from service.domain.tenants import Tenant

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
_STORE: Final = "the policy store"
_PAGE: Final = 50  # of ListPolicies and ListPolicyTemplates (assumed: AWS names no most)
_ROWS: Final = 100  # of one BatchGetItem (source: DynamoDB API reference, "BatchGetItem")
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

    def __init__(self, *, aws: AwsDoor, table: str, templates: int) -> None:
        self.aws = aws
        self.table = table
        self._templates: BoundedCache[tuple[str, str, str], str] = BoundedCache(
            max_entries=templates
        )

    @asks("the tenant registry")
    async def expected(self, tenants: Sequence[Tenant]) -> Mapping[str, str | None]:
        issuers = {digest_key(tenant.issuer): tenant.issuer for tenant in tenants}
        keys, said = list(issuers), dict[str, str | None]()
        for start in range(0, len(keys), _ROWS):
            asked = keys[start : start + _ROWS]
            answer = await self.aws.own("dynamodb").call(
                "BatchGetItem",
                RequestItems={
                    self.table: {
                        "Keys": [{"issuer": {"S": key}} for key in asked],
                        "ConsistentRead": True,
                    }
                },
            )
            left = answer.get("UnprocessedKeys", {}).get(self.table, {}).get("Keys", [])
            # Fail closed: a row that was not read is not one that is not there.
            unread = {key["issuer"]["S"] for key in left}
            said |= {issuers[key]: None for key in asked if key not in unread}
            for item in answer["Responses"].get(self.table, []):
                issuer, digest = issuers[item["issuer"]["S"]], item.get("digest", {}).get("S")
                if isinstance(digest, str):
                    said[issuer] = digest
                else:  # of another form, and of no other tenant's concern
                    log.error("policies.unreadable_digest", issuer=issuer)
                    del said[issuer]
        return said

    @asks(_STORE)
    async def versions(self, tenant: Tenant) -> Mapping[str, str]:
        policies = await self._policies(tenant)
        templates = await self._templates_of(tenant)
        schema = await self._schema(tenant)
        return {**policies, **templates, SCHEMA: str(schema["lastUpdatedDate"])}

    @asks(_STORE)
    async def contents(self, tenant: Tenant) -> PolicySet:
        ids = list(await self._policies(tenant))
        static: dict[str, str] = {}
        links: list[Link] = []
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            for policy_id, definition in await self._definitions(tenant, batch):
                if "static" in definition:
                    static[policy_id] = definition["static"]["statement"]
                else:
                    links.append(_link(policy_id, definition["templateLinked"]))
        schema = await self._schema(tenant)
        return PolicySet(
            schema=schema["schema"],
            static=static,
            templates=await self._used(tenant, {link.template for link in links}),
            links=tuple(links),
        )

    async def _used(self, tenant: Tenant, templates: set[str]) -> dict[str, str]:
        if not templates:
            return {}
        changed = await self._templates_of(tenant)
        used: dict[str, str] = {}
        for name in sorted(templates):
            key = (tenant.policy_store_id, name, changed.get(name, ""))
            known = self._templates.get(key)
            if known is None:
                known = await self._template(tenant, name)
                self._templates.put(key, known, seconds=_TEMPLATE_SECONDS)
            used[name] = known
        return used

    async def _policies(self, tenant: Tenant) -> dict[str, str]:
        """Each policy's id with the moment of its last change; so below."""
        return {
            one["policyId"]: str(one["lastUpdatedDate"])
            async for page in self._pages(tenant, "ListPolicies")
            for one in page["policies"]
        }

    async def _templates_of(self, tenant: Tenant) -> dict[str, str]:
        return {
            one["policyTemplateId"]: str(one["lastUpdatedDate"])
            async for page in self._pages(tenant, "ListPolicyTemplates")
            for one in page["policyTemplates"]
        }

    async def _pages(self, tenant: Tenant, operation: str) -> AsyncIterator[dict[str, Any]]:
        asked: dict[str, Any] = {"policyStoreId": tenant.policy_store_id, "maxResults": _PAGE}
        while True:
            page = await self._store(tenant).call(operation, **asked)
            yield page
            if not page.get("nextToken"):
                return
            asked["nextToken"] = page["nextToken"]

    async def _definitions(
        self, tenant: Tenant, ids: list[str]
    ) -> list[tuple[str, dict[str, Any]]]:
        store = tenant.policy_store_id
        answer = await self._store(tenant).call(
            "BatchGetPolicy", requests=[{"policyStoreId": store, "policyId": one} for one in ids]
        )
        # Fail closed: half a policy set says nothing about decisions.
        if answer["errors"] or len(answer["results"]) != len(ids):
            raise UpstreamError("the policy store changed while it was read")
        return [(one["policyId"], one["definition"]) for one in answer["results"]]

    async def _template(self, tenant: Tenant, name: str) -> str:
        answer = await self._store(tenant).call(
            "GetPolicyTemplate", policyStoreId=tenant.policy_store_id, policyTemplateId=name
        )
        return str(answer["statement"])

    async def _schema(self, tenant: Tenant) -> dict[str, Any]:
        return await self._store(tenant).call("GetSchema", policyStoreId=tenant.policy_store_id)

    def _store(self, tenant: Tenant) -> Calls:
        return self.aws.tenant(tenant, "verifiedpermissions")


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
