"""From whom people get their invitations: a domain that SES sends for, proven by DNS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

_KEYS: Final = 3
"""Of Easy DKIM (source: SES developer guide, "Easy DKIM": "three CNAME records")."""


@dataclass(frozen=True, kw_only=True)
class MailArgs:
    """The sender's address, and the Route 53 zone in which its domain lies."""

    sender: str
    zone_id: str


class Mail(pulumi.ComponentResource):
    """The sender's domain as an identity of SES, and the records that prove it and sign its mail.

    Tenants' pools send through it (`infra/stacks/tenant_stack/user_pool.py`). Cognito takes an
    identity that is verified only, which takes SES up to 72 hours and mostly minutes (source: SES
    developer guide, "Creating and verifying identities").
    """

    identity_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: MailArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:platform:Mail", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        domain = args.sender.rpartition("@")[2]
        identity = aws.sesv2.EmailIdentity(f"{name}-identity", email_identity=domain, opts=child)
        keys = identity.dkim_signing_attributes.apply(lambda signing: signing.tokens or [])
        for index in range(_KEYS):
            key = keys[index]
            aws.route53.Record(
                f"{name}-key-{index}",
                zone_id=args.zone_id,
                name=pulumi.Output.concat(key, "._domainkey.", domain),
                type="CNAME",
                ttl=1800,
                records=[pulumi.Output.concat(key, ".dkim.amazonses.com")],
                opts=child,
            )
        self.identity_arn = identity.arn
        self.register_outputs({"identity_arn": self.identity_arn})
