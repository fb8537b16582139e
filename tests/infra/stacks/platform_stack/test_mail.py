"""Invitations go out by SES from a domain that DNS proves, or by Cognito's own sender."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from infra.stacks.tenant_stack.user_pool import email_configuration
from tests.infra.stamped import resources

if TYPE_CHECKING:
    from tests.infra.conftest import Project

SENDER = "no-reply@cedarfleet.example"
DOMAIN = "cedarfleet.example"


def test_the_domain_is_proven_by_three_records(project: Project) -> None:
    """Each key of Easy DKIM has a record of its own, in the zone of the file."""
    found = [one.inputs for one in resources(project.root, "platform") if "mail-key" in one.name]
    keys = [re.fullmatch(rf"([0-9a-f]+)\._domainkey\.{DOMAIN}", one["name"]) for one in found]
    assert len({key[1] for key in keys if key}) == 3
    for key, one in zip(keys, found, strict=True):
        assert key is not None
        assert (one["type"], one["records"]) == ("CNAME", [f"{key[1]}.dkim.amazonses.com"])


def test_each_tenants_pool_sends_as_the_platform_says(project: Project) -> None:
    """The pool in Cognito names the sender and its domain's identity in this account."""
    for tenant in ("acme", "globex"):
        pool = project.engine.outputs(tenant).outputs["user_pool_id"]
        told = project.cloud.client("cognito-idp").describe_user_pool(UserPoolId=pool)
        assert told["UserPool"]["EmailConfiguration"] == {
            "EmailSendingAccount": "DEVELOPER",
            "From": SENDER,
            "SourceArn": f"arn:aws:ses:{project.cloud.region}:{project.cloud.account_id}"
            f":identity/{DOMAIN}",
        }


def test_without_a_sender_cognito_sends_itself() -> None:
    """Half of it is nothing: a platform of before tells neither."""
    own = {"email_sending_account": "COGNITO_DEFAULT"}
    assert email_configuration(sender=None, identity=None) == own
    assert email_configuration(sender=SENDER, identity=None) == own
    assert email_configuration(sender=None, identity="arn:aws:ses:x") == own
