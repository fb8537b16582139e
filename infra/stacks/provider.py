"""The one AWS provider of a stack, and the options that tie a component to it."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws


def stack_provider(*, region: pulumi.Input[str], tenant: str) -> aws.Provider:
    """The provider of this stack; what it makes is tagged with tenant, stack and managed-by."""
    return aws.Provider(
        "aws",
        region=region,
        default_tags={
            "tags": {
                "tenant": tenant,
                "stack": f"cedarfleet/{pulumi.get_stack()}",
                "managed-by": "pulumi",
            },
        },
    )


def through(provider: aws.Provider) -> pulumi.ResourceOptions:
    """Options of a component whose children use `provider`."""
    return pulumi.ResourceOptions(providers=[provider])
