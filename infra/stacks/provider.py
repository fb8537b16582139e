"""The one AWS provider of a stack: its region, its tags, and the options that tie a component to it."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws


def stack_provider(*, region: pulumi.Input[str], tenant: str) -> aws.Provider:
    """The explicit provider of this stack; every resource it makes carries tenant, stack and managed-by tags."""
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
