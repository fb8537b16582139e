"""A server certificate for a host of the platform's zone, proven to be ours by a DNS record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi_aws as aws

if TYPE_CHECKING:
    import pulumi


def proven_certificate(
    name: str, *, host: str, zone_id: str, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """ARN of a certificate that Certificate Manager has issued.

    Args:
        name: what the three logical names begin with.
        host: in the certificate, e.g. `api.cedarfleet.example`.
        zone_id: Route 53 zone of the host.
        opts: of the three resources.
    """
    certificate = aws.acm.Certificate(
        f"{name}-certificate", domain_name=host, validation_method="DNS", opts=opts
    )
    option = certificate.domain_validation_options[0]
    proof = aws.route53.Record(
        f"{name}-proof",
        zone_id=zone_id,
        name=option.resource_record_name.apply(_required),
        type=option.resource_record_type.apply(_required),
        records=[option.resource_record_value.apply(_required)],
        ttl=300,
        allow_overwrite=True,
        opts=opts,
    )
    return aws.acm.CertificateValidation(
        f"{name}-proven",
        certificate_arn=certificate.arn,
        validation_record_fqdns=[proof.fqdn],
        opts=opts,
    ).certificate_arn


def _required(value: str | None) -> str:
    if value is None:
        raise ValueError("the certificate authority named no DNS record to prove the domain with")
    return value
