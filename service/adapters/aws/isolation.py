"""Calls of AWS by which the boundary between tenants is tried: their roles' own rights.

Each is one that the service makes for a tenant every day, with the other tenant's names in it. IAM
is asked before a row, key or thing is looked for, so nothing need be there; what is written is on a
condition that does not hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from service.adapters.aws.client.failures import AwsRefusalError, UnreadableAnswerError, asks
from service.domain.isolation import NOBODY, Part

if TYPE_CHECKING:
    from service.adapters.aws.client.door import AwsDoor
    from service.domain.tenants import Tenant
    from service.settings import RecordSettings

_REFUSED: Final = frozenset({"AccessDenied", "AccessDeniedException", "ForbiddenException"})
"""For want of a right: S3's word, most others', and that of IoT's data plane (source: their API
references, "Common errors" and GetThingShadow)."""
_LET_IN: Final = frozenset({"ConditionalCheckFailedException", "ResourceNotFoundException"})
"""What is asked for is not there: IAM was asked first, and agreed."""
_SAYS: Final = {Part.FILES: "IsTruncated", Part.DECISIONS: "results"}
"""What an answer has in any case."""


@dataclass(frozen=True, kw_only=True)
class AwsIsolationProbes:
    """Answers ``ports.IsolationProbes``."""

    aws: AwsDoor
    settings: RecordSettings

    @asks("the boundary between tenants")
    async def reaches(self, by: Tenant, part: Part, of: Tenant) -> bool:
        service, operation, arguments = self._call(part, of)
        try:
            answer = await self.aws.tenant(by, service).call(operation, **arguments)
        except AwsRefusalError as error:
            # Who is not given the tenant's role has tried nothing.
            if error.code in _REFUSED and error.operation == operation:
                return False
            if error.code in _LET_IN:
                return True
            raise
        # Somebody on the way may have answered; of the others an empty answer is a good one.
        if part in _SAYS and _SAYS[part] not in answer:
            raise UnreadableAnswerError(operation, f"no `{_SAYS[part]}`")
        return True

    def _call(self, part: Part, of: Tenant) -> tuple[str, str, dict[str, Any]]:
        own, tables = f"{of.id}--{NOBODY}", self.settings
        row = {
            "TableName": tables.commands_table,
            "Key": {"thing": {"S": own}, "sk": {"S": NOBODY}},
        }
        change = {
            "UpdateExpression": "SET tried = :tried",
            "ConditionExpression": "attribute_exists(sk)",
            "ExpressionAttributeValues": {":tried": {"BOOL": True}},
        }
        question = {
            "principal": {"entityType": "Fleet::User", "entityId": NOBODY},
            "action": {"actionType": "Fleet::Action", "actionId": "ViewDevice"},
            "resource": {"entityType": "Fleet::Device", "entityId": NOBODY},
        }
        people = {"UserPoolId": of.pool_id, "Filter": f'email = "{NOBODY}"', "Limit": 1}
        calls: dict[Part, tuple[str, str, dict[str, Any]]] = {
            Part.DEVICES: ("dynamodb", "Query", _rows(tables.devices_table, own)),
            Part.AUDIT: ("dynamodb", "Query", _rows(tables.audit_table, own)),
            Part.COMMANDS: ("dynamodb", "GetItem", row),
            Part.COMMANDS_WRITTEN: ("dynamodb", "UpdateItem", row | change),
            Part.FILES: (
                "s3",
                "ListObjectsV2",
                {"Bucket": of.bucket, "Prefix": NOBODY, "MaxKeys": 1, "EncodingType": "url"},
            ),
            Part.DECISIONS: (
                "verifiedpermissions",
                "BatchIsAuthorized",
                {"policyStoreId": of.policy_store_id, "requests": [question]},
            ),
            Part.PEOPLE: ("cognito-idp", "ListUsers", people),
            Part.STATES: ("iot-data", "GetThingShadow", {"thingName": own, "shadowName": NOBODY}),
        }
        return calls[part]


def _rows(table: str, partition: str) -> dict[str, Any]:
    return {
        "TableName": table,
        "KeyConditionExpression": "#own = :own",
        "ExpressionAttributeNames": {"#own": "partition"},
        "ExpressionAttributeValues": {":own": {"S": partition}},
        "Limit": 1,
    }
