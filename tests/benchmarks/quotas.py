"""What bounds the platform and what each request costs: ``docs/quotas.md``, computed.

``python -m tests.benchmarks.quotas`` prints the tables of the page. They follow from
``docs/calls-per-route.md``, which a test holds to what is counted, the rehearsal's table of limits
and the price list below; a test holds the page to them.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra.local.cloud.limits.table import RATES
from tests.benchmarks.calls_per_route import PAGE, promises

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.local.cloud.limits.rows import Rate

QUOTAS: Final = Path(__file__).parents[2] / "docs" / "quotas.md"
_CORE: Final = "AWS IoT Core pricing"
_DYNAMO: Final = "Amazon DynamoDB pricing, on-demand"
_CEDAR: Final = "Amazon Verified Permissions pricing"


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a million calls cost, in US dollars, in us-east-1; elsewhere some 20 % more.

    Attributes:
        dollars: for a million of what is charged.
        units: that are charged for one call.
        source: AWS's page.
        assumed: AWS's page names no price of this call, or ours is of memory.
    """

    dollars: float
    units: float = 1
    source: str
    assumed: bool = False


_WRITE: Final = 0.625
_READ: Final = 0.125
_MESSAGE: Final = 1.0
_REGISTRY: Final = 1.25
_S3_WRITE: Final = 5.0
_S3_WRITES: Final = "Amazon S3 pricing, PUT, COPY, POST, LIST requests"
PRICES: Final[Mapping[str, Price]] = {
    "IsAuthorizedWithToken": Price(dollars=5, source=_CEDAR),
    "BatchIsAuthorizedWithToken": Price(dollars=150, source=_CEDAR),
    # "Policy management requests", of which the page names these and others.
    "CreatePolicy": Price(dollars=40, source=_CEDAR),
    "GetPolicy": Price(dollars=40, source=_CEDAR),
    "DeletePolicy": Price(dollars=40, source=_CEDAR, assumed=True),
    # $0.03 for 10,000 requests with a symmetric key.
    "Encrypt": Price(dollars=3, source="AWS Key Management Service pricing"),
    # A consistent read of up to 4 KB, a write of up to 1 KB.
    "GetItem": Price(dollars=_READ, source=_DYNAMO),
    "Query": Price(dollars=_READ, source=_DYNAMO),
    "PutItem": Price(dollars=_WRITE, source=_DYNAMO),
    "DeleteItem": Price(dollars=_WRITE, source=_DYNAMO),
    "UpdateItem": Price(dollars=_WRITE, source=_DYNAMO),
    # Two puts, each twice: a transaction prepares and commits.
    "TransactWriteItems": Price(dollars=_WRITE, units=4, source=_DYNAMO),
    # What comes in, what goes out to the device, and its PUBACK ("MQTT PUBACK").
    "Publish": Price(dollars=_MESSAGE, units=3, source=_CORE),
    "SendDirectMessage": Price(dollars=_MESSAGE, units=3, source=_CORE, assumed=True),
    "GetConnection": Price(dollars=_REGISTRY, source=_CORE, assumed=True),
    "DeleteConnection": Price(dollars=_REGISTRY, source=_CORE, assumed=True),
    "GetThingShadow": Price(dollars=_REGISTRY, source=_CORE),
    "UpdateThingShadow": Price(dollars=_REGISTRY, source=_CORE),
    "HeadObject": Price(dollars=0.4, source="Amazon S3 pricing, GET and all other requests"),
    "CreateMultipartUpload": Price(dollars=_S3_WRITE, source=_S3_WRITES),
    "ListObjectsV2": Price(dollars=_S3_WRITE, source=_S3_WRITES),
    "ListParts": Price(dollars=_S3_WRITE, source=_S3_WRITES),
    "DeleteObject": Price(dollars=0, source="Amazon S3 pricing: DELETE requests are free"),
    "AbortMultipartUpload": Price(dollars=0, source="Amazon S3 pricing", assumed=True),
    **{
        call: Price(dollars=0, source="Amazon Cognito pricing: by active users, not by calls")
        for call in (
            "ListUsers",
            "AdminGetUser",
            "AdminListGroupsForUser",
            "AdminCreateUser",
            "AdminAddUserToGroup",
            "AdminRemoveUserFromGroup",
            "AdminEnableUser",
            "AdminDisableUser",
            "AdminUserGlobalSignOut",
            "AddUserPoolClientSecret",
            "CreateUserPoolClient",
            "DeleteUserPoolClient",
            "DeleteUserPoolClientSecret",
            "ListUserPoolClientSecrets",
        )
    },
    "SendMessage": Price(dollars=0.4, source="Amazon SQS pricing, standard queues"),
    "IoT CreateThing": Price(dollars=_REGISTRY, source=_CORE),
    "IoT AddThingToThingGroup": Price(dollars=_REGISTRY, source=_CORE, assumed=True),
    "IoT CreateCertificateFromCsr": Price(dollars=0, source=_CORE, assumed=True),
    "IoT DescribeCertificate": Price(dollars=0, source=_CORE, assumed=True),
    "IoT ListThingPrincipals": Price(dollars=_REGISTRY, source=_CORE, assumed=True),
    "IoT UpdateCertificate": Price(dollars=0, source=_CORE, assumed=True),
    "IoT AttachPolicy": Price(dollars=0, source=_CORE, assumed=True),
    "IoT AttachThingPrincipal": Price(dollars=_REGISTRY, source=_CORE, assumed=True),
}


def prices() -> dict[str, float]:
    """Dollars for a million requests of each row of the page of calls."""
    found: dict[str, float] = {}
    for name, calls in promises(PAGE.read_text(encoding="utf-8")).items():
        found[name] = sum(PRICES[call].dollars * PRICES[call].units for call in calls)
    return found


def bounds() -> Iterator[tuple[Rate, str, float]]:
    """Each rate that requests meet: with the one that needs most of it, and how many there are.

    A second, of the whole account, or of one tenant where the rate is a policy store's.
    """
    routes = promises(PAGE.read_text(encoding="utf-8"))
    for rate in RATES:
        most, needs = "", 0
        for name, calls in routes.items():
            made, plane = Counter(calls), "IoT " if rate.service == "iot" else ""
            count = sum(made[plane + operation] for operation in rate.operations)
            if count > needs:
                most, needs = name, count
        if needs:
            yield rate, most, rate.figure / needs


def price_lines() -> list[str]:
    """Rows of the page's table of prices."""
    return [f"| {_named(name)} | ${dollars:,.2f} |" for name, dollars in prices().items()]


def bound_lines() -> list[str]:
    """The first three columns of the page's table of rates."""
    return [
        f"| `{rate.id}`{' (assumed)' if rate.assumed else ''} | {rate.figure:,g} a second and"
        f" {_OF.get(rate.per, 'account')} | {_named(name)}:"
        f" {number:,.0f} a second |"
        for rate, name, number in bounds()
    ]


_OF: Final = {"policyStoreId": "policy store", "thingName": "thing", "UserPoolId": "user pool"}
"""Parameter whose values each have a rate -> what they name."""


def _named(request: str) -> str:
    """A request with its route as code."""
    verb, path, *of = request.split(" ", 2)
    return " ".join([f"`{verb} {path}`", *of])


if __name__ == "__main__":
    sys.stdout.write("\n".join([*bound_lines(), "", *price_lines(), ""]))
