"""The forms of AWS's figures (a count, a rate, a bound, a delay), and AWS's pages that say them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

GUIDE: Final = "https://docs.aws.amazon.com/iot/latest/developerguide/"
API: Final = "https://docs.aws.amazon.com/iot/latest/apireference/"
CORE: Final = "https://docs.aws.amazon.com/general/latest/gr/iot-core.html"
MANAGEMENT: Final = "https://docs.aws.amazon.com/general/latest/gr/iot_device_management.html"
GROUPS: Final = f"{GUIDE}thing-groups.html"
KMS: Final = "https://docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html"
IAM: Final = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"
COGNITO: Final = "https://docs.aws.amazon.com/cognito/latest/developerguide/quotas.html"
FIREHOSE: Final = "https://docs.aws.amazon.com/firehose/latest/dev/limits.html"
NETWORK: Final = "https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html"
POLICIES: Final = "https://docs.aws.amazon.com/verifiedpermissions/latest/userguide/quotas.html"


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many of something there may be once a call has been made.

    Attributes:
        id: of the row.
        service: botocore's name.
        operations: that add to it.
        what: is counted.
        figure: the most of it.
        page: where AWS says so.
        code: AWS's error code for one more.
        status: HTTP's, of that error.
        assumed: the figure or the code is a guess.
    """

    id: str
    service: str
    operations: tuple[str, ...]
    what: str
    figure: int
    page: str
    code: str
    status: int = 400
    assumed: bool = False


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How many calls a second are answered; operations of one row share it.

    Attributes:
        per: parameter whose values each have a rate of their own; empty: one for the account.
        code: AWS's error code for a call too many.
    """

    id: str
    service: str
    operations: tuple[str, ...]
    figure: float
    page: str
    per: str = ""
    code: str = "ThrottlingException"
    status: int = 400
    assumed: bool = False


@dataclass(frozen=True, kw_only=True)
class Bound:
    """How many of something a connection may have."""

    id: str
    what: str
    figure: int
    page: str
    assumed: bool = False


@dataclass(frozen=True, kw_only=True)
class Delay:
    """How long AWS takes until a change is seen, in seconds."""

    id: str
    what: str
    figure: float
    page: str
    assumed: bool = False
