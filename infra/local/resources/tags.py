"""Tags in the shapes that the services want them in, and what of a change is more than tags."""

from __future__ import annotations

from typing import Any


def pairs(inputs: dict[str, Any], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """`inputs["tags"]` as a list of pairs, e.g. `[{"Key": "tenant", "Value": "acme"}]`."""
    return [{key: name, value: text} for name, text in sorted(inputs.get("tags", {}).items())]


def plain(inputs: dict[str, Any]) -> dict[str, str]:
    """`inputs["tags"]` as a mapping."""
    return dict(inputs.get("tags", {}))


def changed(old: dict[str, Any], inputs: dict[str, Any]) -> list[str]:
    """Names of tags that are no longer there."""
    return sorted(set(old.get("tags", {})) - set(inputs.get("tags", {})))


def differ(old: dict[str, Any], inputs: dict[str, Any], *names: str) -> bool:
    """Whether one of these inputs is another than it was; the provider calls only for those.

    Source: Terraform's AWS provider, `HasChanges` and `HasChangesExcept("tags", "tags_all")` in the
    update of each resource.
    """
    return any(old.get(name) != inputs.get(name) for name in names)


def retag(  # noqa: PLR0917 - client and ARN, then what `pairs` takes
    client: Any,
    arn: str,
    old: dict[str, Any],
    inputs: dict[str, Any],
    key: str = "Key",
    value: str = "Value",
) -> None:
    """Set the tags of a resource and remove those that are gone; for IoT, ECR and ECS."""
    if wanted := pairs(inputs, key, value):
        client.tag_resource(resourceArn=arn, tags=wanted)
    if gone := changed(old, inputs):
        client.untag_resource(resourceArn=arn, tagKeys=gone)
