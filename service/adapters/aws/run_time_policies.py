"""Static policies that are put into a tenant's store at run time, each under a name of its own.

A policy is found by its name, so nothing hangs on an answer that was lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from service.adapters.aws.client.failures import AwsRefusalError
from service.errors import ConflictError, UnavailableError

if TYPE_CHECKING:
    from service.adapters.aws.client.door import Calls

STORE: Final = "the policy store"


@dataclass(frozen=True, kw_only=True)
class RunTimePolicy:
    """One policy.

    Attributes:
        id: a ULID, by which the store knows a repetition.
        name: beside it the store holds none of this name.
        description: what it is.
        full: what the caller is told if there is no room.
        unfit: ... and if the store's schema does not take it.
    """

    id: str
    name: str
    statement: str
    description: str
    full: str
    unfit: str

    async def put(self, store: Calls, policy_store_id: str) -> str:
        """The store's id of it, which stands from now on.

        Raises:
            ConflictError: no room, or unfit.
            UnavailableError: the store is being written to by somebody else.
            AwsCallError: anything else.
        """
        try:
            made = await store.call(
                "CreatePolicy",
                policyStoreId=policy_store_id,
                definition={
                    "static": {"statement": self.statement, "description": self.description}
                },
                name=self.name,
                # Known "for eight hours"; later the name is taken: "you receive a
                # ConflictException error" (Verified Permissions API reference, CreatePolicy).
                clientToken=self.id,
            )
        except AwsRefusalError as error:
            if error.code == "ServiceQuotaExceededException":
                raise ConflictError(self.full) from error
            # It does not fit the schema, which is of another release.
            if error.code == "ValidationException":
                raise ConflictError(self.unfit) from error
            if error.code != "ConflictException":
                raise
            if (policy_id := await find(store, policy_store_id, self.name)) is not None:
                return policy_id
            # "might return an exception when [...] you attempt simultaneous write operations"
            # (Verified Permissions user guide, "Quotas").
            raise UnavailableError(STORE, is_throttled=True, is_lost=error.was_lost) from error
        return str(made["policyId"])


async def find(store: Calls, policy_store_id: str, name: str) -> str | None:
    """The store's id of the policy of a name, if it shows one."""
    try:
        found = await store.call("GetPolicy", policyStoreId=policy_store_id, policyId=name)
    except AwsRefusalError as error:
        if error.code == "ResourceNotFoundException":
            return None
        raise
    return str(found["policyId"])


async def remove(store: Calls, policy_store_id: str, policy_id: str) -> None:
    """Take a policy out, by id or name; one that is gone is no error.

    Raises:
        UnavailableError: the store is being written to by somebody else.
    """
    try:
        await store.call("DeletePolicy", policyStoreId=policy_store_id, policyId=policy_id)
    except AwsRefusalError as error:
        if error.code == "ConflictException":
            raise UnavailableError(STORE, is_throttled=True, is_lost=error.was_lost) from error
        # The store of a tenant that was stamped anew; a policy that is gone is no error.
        if error.code != "ResourceNotFoundException":
            raise
