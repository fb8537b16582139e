"""What is let through, each with its reason; what stands here that no stack needs fails a test."""

from __future__ import annotations

from typing import Final

WITHOUT_RESOURCE: Final[dict[str, str]] = {
    "ecr:GetAuthorizationToken": "the token is the account's; AWS knows no resource for it",
    "iot:AttachThingPrincipal": "AWS knows no resource for it; the device policy's condition on "
    "the thing's name parts the tenants (infra/stacks/tenant_stack/iot_policies.py)",
    "iot:CreateCertificateFromCsr": "the certificate does not exist yet",
}
"""Actions that are granted on `*` (source of each: AWS service authorization reference)."""

OPEN_PORTS: Final[dict[int, str]] = {
    80: "the load balancer's, which answers with a redirect to 443",
    443: "the load balancer's, where the API is",
}
"""TCP ports that a security group may open to every address."""

NOT_ENCRYPTED_BY_US: Final[dict[str, str]] = {
    "alarms-alarms": "CloudWatch cannot send to a topic under AWS's own key, and an alarm's words "
    "hold nothing of a tenant",
}
"""Logical names of topics that have no key."""
