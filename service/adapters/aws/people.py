"""People of a tenant's Cognito user pool, asked and changed in the tenant's own session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import AwsRefusalError, asks
from service.adapters.aws.cursors import seal, token_of
from service.domain.instants import milliseconds
from service.domain.people import STATES, Person, PersonPage
from service.errors import ConflictError, InvalidRequestError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from service.adapters.aws.client.door import AwsDoor, Calls
    from service.domain.people import NewPerson
    from service.domain.tenants import Tenant

_POOL: Final = "the user pool"
_PAGE: Final = 60  # at most, of ListUsers and AdminListGroupsForUser (Cognito API reference)
_NO_PERSON: Final = "UserNotFoundException"
_WRONG: Final = "InvalidParameterException"


@dataclass(frozen=True, kw_only=True)
class CognitoPeople:
    """Answers ``ports.People``."""

    aws: AwsDoor

    @asks(_POOL)
    async def page(
        self, tenant: Tenant, *, email: str, limit: int, cursor: str | None
    ) -> PersonPage:
        scope = f"people:{tenant.id}:{email}"
        token = None if cursor is None else token_of(scope, cursor)
        asked: dict[str, Any] = {"PaginationToken": token} if token else {}
        if email:
            asked["Filter"] = f'email ^= "{email}"'
        try:
            answer = await self._pool(tenant).call(
                "ListUsers", UserPoolId=tenant.pool_id, Limit=min(limit, _PAGE), **asked
            )
        except AwsRefusalError as error:
            if token and error.code == _WRONG:
                words = "must be the `cursor` of an earlier page"
                raise InvalidRequestError("cursor", words) from None
            raise
        return PersonPage(
            people=tuple(_person(one, one["Attributes"]) for one in answer["Users"]),
            cursor=seal(scope, answer.get("PaginationToken")),
        )

    @asks(_POOL)
    async def find(self, tenant: Tenant, person_id: str) -> Person | None:
        named = {"UserPoolId": tenant.pool_id, "Username": person_id}
        try:
            found = await self._pool(tenant).call("AdminGetUser", **named)
            # By the name that the pool answered: what was asked for may be an address.
            groups = await self._groups(tenant, found["Username"])
        except AwsRefusalError as error:
            if error.code == _NO_PERSON:
                return None
            raise
        return _person(found, found["UserAttributes"], groups)

    @asks(_POOL)
    async def invite(self, tenant: Tenant, new: NewPerson) -> Person:
        attributes = {"email": new.email, "email_verified": "true"}
        if new.region is not None:
            attributes["custom:region"] = new.region
        try:
            answer = await self._pool(tenant).call(
                "AdminCreateUser",
                UserPoolId=tenant.pool_id,
                Username=new.email,
                UserAttributes=[{"Name": name, "Value": text} for name, text in attributes.items()],
                DesiredDeliveryMediums=["EMAIL"],
            )
        except AwsRefusalError as error:
            # An attempt before this one may have made the person whose answer was lost.
            if error.code == "UsernameExistsException" and error.was_lost:
                made = await self.find(tenant, new.email)
                if made is not None:
                    return made
            if error.code == "UsernameExistsException":
                raise ConflictError(f"there is a person `{new.email}` already") from None
            if error.code == _WRONG:
                raise InvalidRequestError("email", "the user pool does not take it") from None
            raise
        made = answer["User"]
        return _person(made, made["Attributes"])

    @asks(_POOL)
    async def add_to_group(self, tenant: Tenant, person_id: str, group: str) -> None:
        await self._change(tenant, "AdminAddUserToGroup", person_id, group)

    @asks(_POOL)
    async def remove_from_group(self, tenant: Tenant, person_id: str, group: str) -> None:
        await self._change(tenant, "AdminRemoveUserFromGroup", person_id, group)

    @asks(_POOL)
    async def enable(self, tenant: Tenant, person_id: str, *, enabled: bool) -> None:
        if enabled:
            await self._change(tenant, "AdminEnableUser", person_id, None)
        else:
            await self._change(tenant, "AdminDisableUser", person_id, None)

    @asks(_POOL)
    async def sign_out(self, tenant: Tenant, person_id: str) -> None:
        await self._change(tenant, "AdminUserGlobalSignOut", person_id, None)

    async def _change(
        self, tenant: Tenant, operation: str, person_id: str, group: str | None
    ) -> None:
        into = {} if group is None else {"GroupName": group}
        try:
            await self._pool(tenant).call(
                operation, UserPoolId=tenant.pool_id, Username=person_id, **into
            )
        except AwsRefusalError as error:
            if error.code == _NO_PERSON:
                raise NotFoundError("person", person_id) from None
            if error.code == "ResourceNotFoundException" and group is not None:
                words = f"the tenant has no group `{group}`"
                raise InvalidRequestError("groups", words) from None
            raise

    async def _groups(self, tenant: Tenant, name: str) -> tuple[str, ...]:
        asked = {"UserPoolId": tenant.pool_id, "Username": name, "Limit": _PAGE}
        groups: list[str] = []
        while True:
            page = await self._pool(tenant).call("AdminListGroupsForUser", **asked)
            # Not Cognito's own of a provider's people, `<pool>_<provider>`, which no one else gives
            # or takes (source: Cognito developer guide, "Adding groups to a user pool").
            named = (one["GroupName"] for one in page["Groups"])
            groups += [group for group in named if not group.startswith(f"{tenant.pool_id}_")]
            if not page.get("NextToken"):
                return tuple(sorted(groups))
            asked["NextToken"] = page["NextToken"]

    def _pool(self, tenant: Tenant) -> Calls:
        return self.aws.tenant(tenant, "cognito-idp")


def _person(
    found: Mapping[str, Any], listed: list[dict[str, str]], groups: tuple[str, ...] = ()
) -> Person:
    attributes = {one["Name"]: one.get("Value", "") for one in listed}
    return Person(
        id=found["Username"],
        subject=attributes["sub"],
        email=attributes.get("email", ""),
        state=STATES.get(found["UserStatus"], "other"),
        enabled=bool(found["Enabled"]),
        region=attributes.get("custom:region"),
        created_at=milliseconds(found["UserCreateDate"]),
        changed_at=milliseconds(found["UserLastModifiedDate"]),
        groups=groups,
    )
