"""The name that devices dial: ours, so that it can lead to another account one day (ADR 0018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from infra import names
from infra.stacks.platform_stack.certificate import proven_certificate

if TYPE_CHECKING:
    from infra.stacks.config.platform import PlatformConfig

# TLS 1.3 and 1.2 (source: AWS IoT developer guide, "Configuring TLS settings in domain
# configurations").
_TLS_POLICY: Final = "IoTSecurityPolicy_TLS13_1_2_2022_10"
_RECORD_SECONDS: Final = 300


@dataclass(frozen=True, kw_only=True)
class DeviceEndpointArgs:
    """What the file says of name and zone, and the host of AWS that the name stands for."""

    config: PlatformConfig
    iot_data_endpoint: pulumi.Output[str]


class DeviceEndpoint(pulumi.ComponentResource):
    """Certificate, IoT domain configuration and DNS name; nothing where the file has no name.

    Each name needs a configuration of its own, and an account has few of them (source: AWS IoT
    developer guide, "Creating and configuring customer managed domains"; Service Quotas
    L-89635276). With this protocol and authentication type MQTT is answered on 443 as on 8883,
    without ALPN (source: AWS IoT developer guide, "Device communication protocols").
    """

    host: pulumi.Output[str | None]

    def __init__(
        self, name: str, args: DeviceEndpointArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cedarfleet:platform:DeviceEndpoint", name, None, opts)
        host, child = args.config.device_endpoint, pulumi.ResourceOptions(parent=self)
        self.host = pulumi.Output.from_input(host)
        if host is not None:
            certificate_arn = proven_certificate(
                name, host=host, zone_id=args.config.hosted_zone_id, opts=child
            )
            configuration = aws.iot.DomainConfiguration(
                f"{name}-domain",
                name=names.DOMAIN_CONFIGURATION,
                domain_name=host,
                service_type="DATA",
                server_certificate_arns=[certificate_arn],
                application_protocol="SECURE_MQTT",
                authentication_type="AWS_X509",
                tls_config={"security_policy": _TLS_POLICY},
                opts=child,
            )
            aws.route53.Record(
                f"{name}-name",
                zone_id=args.config.hosted_zone_id,
                name=host,
                type="CNAME",
                records=[args.iot_data_endpoint],
                ttl=_RECORD_SECONDS,
                # A device that came before would be shown AWS's certificate, and refuse it.
                opts=pulumi.ResourceOptions.merge(
                    child, pulumi.ResourceOptions(depends_on=[configuration])
                ),
            )
        self.register_outputs({"host": self.host})
