"""The load balancer's own log: by the platform's file, into a bucket that it alone writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.local.engine import Op
from infra.stacks.platform_stack.access_logs import bucket_policy

if TYPE_CHECKING:
    from tests.infra.conftest import Project

ACCOUNT = "123456789012"


def test_only_balancers_of_this_account_write() -> None:
    """Under the account's own prefix, in this region; and nobody without TLS does anything."""
    written, plain = bucket_policy(bucket="logs-1", account_id=ACCOUNT, region="eu-central-1")[
        "Statement"
    ]
    assert written["Principal"] == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    assert (written["Effect"], written["Action"]) == ("Allow", "s3:PutObject")
    assert written["Resource"] == f"arn:aws:s3:::logs-1/AWSLogs/{ACCOUNT}/*"
    assert written["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {
            "aws:SourceArn": f"arn:aws:elasticloadbalancing:eu-central-1:{ACCOUNT}:loadbalancer/*"
        },
    }
    assert (plain["Effect"], plain["Condition"]) == (
        "Deny",
        {"Bool": {"aws:SecureTransport": "false"}},
    )


def test_the_file_switches_them_on(own: Project) -> None:
    """With days in the file a bucket comes with all that guards it, and the balancer changes."""
    assert [one for one in own.engine.preview("platform").changes if one.op is not Op.READ] == []
    own.change("platform", access_log_days=90)
    changes = [one for one in own.engine.preview("platform").changes if one.op is not Op.READ]
    made = {one.urn.split("::")[-1] for one in changes if one.op is Op.CREATE}
    assert made == {
        "access-logs",
        *(
            f"access-logs-{part}"
            for part in (
                "bucket",
                "encryption",
                "lifecycle",
                "owner",
                "private",
                "versions",
                "written-by-the-balancer",
            )
        ),
    }
    (changed,) = (one for one in changes if one.op is not Op.CREATE)
    assert (changed.op, changed.urn.split("::")[-1], changed.keys) == (
        Op.UPDATE,
        "balancer-balancer",
        ("accessLogs",),
    )
