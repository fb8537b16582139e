"""The key that signs checkpoints of the tenants' audit trails; it never leaves KMS."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True, kw_only=True)
class AuditKeyArgs:
    """`protect`: refuse to delete the key."""

    protect: bool


class AuditKey(pulumi.ComponentResource):
    """A pair of keys on P-256; who has an export of a trail has the public one with it.

    KMS rotates no pair of keys (source: its developer guide, "Rotating AWS KMS keys"): another one
    would be a change of this program, and of what the trail's readers trust.

    Its policy is the one that AWS gives by itself, which leaves it to IAM (source: KMS developer
    guide, "Default key policy"). A deleted key is gone after 30 days, the longest that KMS waits;
    what it has signed can be checked for ever, since the public key stands beside each signature.
    """

    key: aws.kms.Key

    def __init__(
        self, name: str, args: AuditKeyArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:platform:AuditKey", name, None, opts)
        self.key = aws.kms.Key(
            f"{name}-key",
            description="signs checkpoints of the audit trails",
            key_usage="SIGN_VERIFY",
            customer_master_key_spec="ECC_NIST_P256",
            deletion_window_in_days=30,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.register_outputs({"key": self.key.arn})
