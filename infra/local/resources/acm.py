"""Certificate Manager: server certificates, which the embedded cloud issues without asking DNS."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine, unless_absent
from infra.local.resources.tags import changed, pairs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud


class Certificate(Handler):
    """`aws.acm.Certificate`, proven by DNS."""

    replace_on = frozenset({"domainName", "validationMethod"})
    taggable = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """RequestCertificate; then DescribeCertificate says which record proves the domain."""
        client = cloud.client("acm")
        tags = pairs(inputs)
        made = client.request_certificate(
            DomainName=inputs["domainName"],
            ValidationMethod=inputs["validationMethod"],
            **({"Tags": tags} if tags else {}),
        )["CertificateArn"]
        described = client.describe_certificate(CertificateArn=made)["Certificate"]
        options = [
            {
                "domainName": option["DomainName"],
                "resourceRecordName": option["ResourceRecord"]["Name"],
                "resourceRecordType": option["ResourceRecord"]["Type"],
                "resourceRecordValue": option["ResourceRecord"]["Value"],
            }
            for option in described["DomainValidationOptions"]
        ]
        outputs = {
            "arn": made,
            "status": described["Status"],
            "domainValidationOptions": options,
        }
        return Made(made, {**inputs, **outputs})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """Only tags can change in place."""
        client = cloud.client("acm")
        if tags := pairs(inputs):
            client.add_tags_to_certificate(CertificateArn=id, Tags=tags)
        if gone := changed(old, inputs):
            client.remove_tags_from_certificate(
                CertificateArn=id, Tags=[{"Key": key} for key in gone]
            )
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeCertificate."""
        answer = unless_absent(cloud.client("acm").describe_certificate, CertificateArn=id)
        if answer is None:
            return None
        return {**outputs, "arn": id, "status": answer["Certificate"]["Status"]}

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """DeleteCertificate."""
        del outputs
        with absent_is_fine():
            cloud.client("acm").delete_certificate(CertificateArn=id)


HANDLERS: Final[Mapping[str, Handler]] = {"aws:acm/certificate:Certificate": Certificate()}
