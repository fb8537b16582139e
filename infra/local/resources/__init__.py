"""How the embedded cloud makes each resource type of the Pulumi program: a handler for a type.

There is one file for each family of types.

The types of `recorded` have no service behind them here; they are only written down, and the
engine's result says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.local.resources import (
    account,
    acm,
    alarms,
    cognito,
    cognito_clients,
    dashboards,
    dynamodb,
    ec2,
    ecs,
    firehose,
    iam,
    identity_providers,
    iot,
    iot_domains,
    iot_provisioning,
    iot_rules,
    kms,
    logs,
    recorded,
    routes,
    s3,
    s3_settings,
    security_groups,
    sqs,
    verified_permissions,
    verified_permissions_policies,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Handler, Invoke

__all__ = ["HANDLERS", "INVOKES"]

HANDLERS: Mapping[str, Handler] = {
    **acm.HANDLERS,
    **alarms.HANDLERS,
    **cognito.HANDLERS,
    **cognito_clients.HANDLERS,
    **dashboards.HANDLERS,
    **dynamodb.HANDLERS,
    **ec2.HANDLERS,
    **ecs.HANDLERS,
    **firehose.HANDLERS,
    **iam.HANDLERS,
    **identity_providers.HANDLERS,
    **iot.HANDLERS,
    **iot_domains.HANDLERS,
    **iot_provisioning.HANDLERS,
    **iot_rules.HANDLERS,
    **kms.HANDLERS,
    **logs.HANDLERS,
    **recorded.HANDLERS,
    **routes.HANDLERS,
    **s3.HANDLERS,
    **s3_settings.HANDLERS,
    **security_groups.HANDLERS,
    **sqs.HANDLERS,
    **verified_permissions.HANDLERS,
    **verified_permissions_policies.HANDLERS,
}
INVOKES: Mapping[str, Invoke] = {**account.INVOKES, **identity_providers.INVOKES}
