"""The key that seals the secrets of webhooks; it never leaves KMS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from infra.stacks.config.limits import KeyRotationDays


@dataclass(frozen=True, kw_only=True)
class WebhookKeyArgs:
    """`protect`: refuse to delete the key; `rotation_days`: from one rotation to the next."""

    protect: bool
    rotation_days: KeyRotationDays


class WebhookKey(pulumi.ComponentResource):
    """A symmetric key: the service may encrypt with it, and the worker decrypt.

    Its policy is the one that AWS gives by itself, which leaves it to IAM (source: KMS developer
    guide, "Default key policy"). Without it webhooks send nothing until each is rotated.
    """

    key: aws.kms.Key

    def __init__(
        self, name: str, args: WebhookKeyArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:platform:WebhookKey", name, None, opts)
        self.key = aws.kms.Key(
            f"{name}-key",
            description="seals the secrets of webhooks",
            # What an older one sealed is still opened (source: KMS developer guide, "Rotating AWS
            # KMS keys").
            enable_key_rotation=True,
            rotation_period_in_days=args.rotation_days,
            deletion_window_in_days=30,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.register_outputs({"key": self.key.arn})
