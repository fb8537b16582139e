"""What needs nothing but the account: its quotas, and what IAM makes of a tenant's role."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from infra import names
from infra.aws_check.rows import answered, unanswered
from infra.local.cloud.limits.table import RATES
from infra.stacks.tenant_stack import service_role

if TYPE_CHECKING:
    from infra.aws_check.rows import Outcome
    from infra.aws_check.sandbox import Sandbox


def rates(sandbox: Sandbox) -> Outcome:
    """Compare the account's quotas of IoT Core with the rehearsal's rates."""
    client = sandbox.calls.client("service-quotas")
    page: Any = client.list_service_quotas(ServiceCode="iotcore", MaxResults=100)
    said = {str(each["QuotaName"]): float(each["Value"]) for each in page["Quotas"]}
    compared, other = 0, list[str]()
    for row in RATES:
        for operation in row.operations:
            of_it = {name: said[name] for name in said if operation in name.split()}
            compared += bool(of_it)
            other += [
                f"{name}: {value:g}, here {row.figure:g}"
                for name, value in of_it.items()
                if value != row.figure
            ]
    if not compared:
        return unanswered(f"{len(said)} quotas, none by the name of an operation of ours")
    return answered(not other, "; ".join(other) or f"{compared} quotas are as here")


def tenant_role(sandbox: Sandbox) -> Outcome:
    """Ask IAM itself what the policy of a tenant's role allows, at own and foreign rows."""
    tenant = sandbox.tenant
    document = service_role.permissions(
        tenant=tenant,
        arns=sandbox.arns,
        store_id="PSEXAMPLEabcdefg111111",
        bucket=sandbox.bucket,
        pool_id="eu-central-1_EXAMPLE",
        commands_table=names.COMMANDS_TABLE,
        audit_table=names.AUDIT_TABLE,
    )
    decided: list[str] = []
    for key in (f"{names.thing_prefix(tenant)}devices", "globex--devices"):
        answer: Any = sandbox.calls.client("iam").simulate_custom_policy(
            PolicyInputList=[json.dumps(document)],
            ActionNames=["dynamodb:Query"],
            ResourceArns=[sandbox.arns.table(names.DEVICES_TABLE)],
            ContextEntries=[
                {
                    "ContextKeyName": "dynamodb:LeadingKeys",
                    "ContextKeyValues": [key],
                    "ContextKeyType": "stringList",
                }
            ],
        )
        decided += [str(each["EvalDecision"]) for each in answer["EvaluationResults"]]
    own, foreign = decided
    words = f"own row: {own}; foreign row: {foreign}"
    if own != "allowed":
        return unanswered(f"{words}; the simulation seems to know no leading keys")
    return answered(foreign != "allowed", words)
