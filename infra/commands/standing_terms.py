"""What a stamped tenant gets at the moment, read from what stands and not from what files say.

A file that was edited says what the tenant is to get; only its registry row, its bucket and its
pool say what it has, whoever stamped them and with which release.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from infra import names
from infra.commands.policies import TABLE
from infra.stacks.config.limits import FEATURES
from infra.stacks.config.terms import Terms
from infra.stacks.config.tiers import Budget, Password, Rate, Tier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.commands.account import Account
    from infra.stacks.config.limits import Mfa, ThreatProtection

FOR_EVER: Final = 36_500
"""Days for which is kept what no rule of the bucket forgets."""
# Key of a tier -> the bucket's rule that keeps it so, and where that says the days.
_RULES: Final = {
    "artifact_days": ("forget-replaced", "NoncurrentVersionExpiration", "NoncurrentDays"),
    "telemetry_days": ("forget-telemetry", "Expiration", "Days"),
    "device_log_days": ("forget-logs", "Expiration", "Days"),
}
_PROTECTIONS: Final[dict[str, ThreatProtection]] = {
    "AUDIT": "audit-only",
    "ENFORCED": "full-function",
}
_MFA: Final[dict[str, Mfa]] = {"OFF": "off", "OPTIONAL": "optional", "ON": "on"}


def prepare(account: Account) -> None:
    """Make the clients: boto3 makes them in one thread only, and gives them to any."""
    for service in ("dynamodb", "s3", "cognito-idp"):
        account.client(service)


def of(account: Account, tenant: str) -> tuple[Terms, str] | None:
    """The terms that stand, and the tenant's bucket; ``None``: it is not registered.

    May be asked by threads, after ``prepare``.

    Raises:
        botocore.exceptions.ClientError: AWS refused; nobody knows then what the tenant has.
    """
    table = os.environ.get(TABLE, names.TENANTS_TABLE)
    rows = account.pages(
        "dynamodb",
        "query",
        "Items",
        TableName=table,
        IndexName=names.TENANTS_BY_TENANT_INDEX,
        KeyConditionExpression="tenant = :tenant",
        ExpressionAttributeValues={":tenant": {"S": tenant}},
    )
    row: dict[str, Any] | None = next(iter(rows), None)
    if row is None:
        return None
    bucket = str(row["bucket"]["S"])
    pool = account.client("cognito-idp").describe_user_pool(
        UserPoolId=row["issuer"]["S"].rsplit("/", 1)[1]
    )["UserPool"]
    protection = pool.get("UserPoolAddOns", {}).get("AdvancedSecurityMode")
    within = Tier(
        budget=_budget(row.get("budgets", {}).get("M", {})),
        features=_features(row),
        mfa=_MFA[pool["MfaConfiguration"]],
        password=_password(pool["Policies"]["PasswordPolicy"]),
        threat_protection=_PROTECTIONS.get(protection),
        **_days(account.client("s3"), bucket),
    )
    return Terms(tier=row.get("tier", {}).get("S"), within=within), bucket


def _budget(column: Mapping[str, Any]) -> Budget:
    # A row of a release before names none: it has those of a tier that says nothing.
    rates = {
        name: Rate(**{key: int(number["S"]) for key, number in rate["M"].items()})
        for name, rate in column.items()
    }
    return Budget(**rates)


def _features(row: Mapping[str, Any]) -> tuple[Any, ...]:
    # Likewise: it has all.
    if "features" not in row:
        return FEATURES
    return tuple(name for name in FEATURES if row["features"]["M"].get(name) == {"S": "yes"})


def _password(policy: Mapping[str, Any]) -> Password:
    return Password(
        length=policy["MinimumLength"],
        symbols=policy["RequireSymbols"],
        remembered=policy.get("PasswordHistorySize", 0),
        invitation_days=policy["TemporaryPasswordValidityDays"],
    )


def _days(s3: Any, bucket: str) -> dict[str, Any]:
    try:
        rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchLifecycleConfiguration":
            raise
        rules = []
    known = {rule.get("ID"): rule for rule in rules if rule["Status"] == "Enabled"}
    return {
        key: known.get(rule, {}).get(part, {}).get(member, FOR_EVER)
        for key, (rule, part, member) in _RULES.items()
    }
