"""IoT Core's domain configurations: names of one's own that the broker answers."""

# ruff: noqa: A002 - `id` is Pulumi's word, and the engine's

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra.local.engine.handler import Handler, Made
from infra.local.resources.absence import absent_is_fine, unless_absent
from infra.local.resources.tags import differ, pairs, retag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.engine.handler import Cloud

# What UpdateDomainConfiguration takes: no certificate ("Currently you can't update the server
# certificate", AWS IoT developer guide, "Managing domain configurations"), and no name.
_CHANGEABLE: Final = ("applicationProtocol", "authenticationType", "tlsConfig", "status")


class DomainConfiguration(Handler):
    """`aws.iot.DomainConfiguration`, of a customer's own domain."""

    replace_on = frozenset({"name", "domainName", "serviceType", "serverCertificateArns"})
    autoname = "name"
    taggable = True

    def create(self, cloud: Cloud, inputs: dict[str, Any]) -> Made:
        """CreateDomainConfiguration."""
        made = cloud.client("iot").create_domain_configuration(
            domainConfigurationName=inputs["name"],
            domainName=inputs["domainName"],
            serviceType=inputs["serviceType"],
            serverCertificateArns=inputs["serverCertificateArns"],
            tags=pairs(inputs),
            **_settings(inputs),
        )
        outputs = {"arn": made["domainConfigurationArn"], "domainType": "CUSTOMER_MANAGED"}
        return Made(inputs["name"], {"status": "ENABLED", **inputs, **outputs})

    def update(
        self, cloud: Cloud, id: str, old: dict[str, Any], inputs: dict[str, Any]
    ) -> dict[str, Any]:
        """UpdateDomainConfiguration."""
        client = cloud.client("iot")
        if differ(old, {**old, **inputs}, *_CHANGEABLE):
            client.update_domain_configuration(domainConfigurationName=id, **_settings(inputs))
        retag(client, old["arn"], old, inputs)
        return {**old, **inputs}

    def read(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> dict[str, Any] | None:
        """DescribeDomainConfiguration."""
        now = unless_absent(
            cloud.client("iot").describe_domain_configuration, domainConfigurationName=id
        )
        if now is None:
            return None
        return {
            **outputs,
            "name": id,
            "arn": now["domainConfigurationArn"],
            "status": now["domainConfigurationStatus"],
            "domainName": now["domainName"],
            "applicationProtocol": now["applicationProtocol"],
            "authenticationType": now["authenticationType"],
            "tlsConfig": {"securityPolicy": now["tlsConfig"]["securityPolicy"]},
        }

    def delete(self, cloud: Cloud, id: str, outputs: dict[str, Any]) -> None:
        """Disable, then DeleteDomainConfiguration, as the provider does."""
        del outputs
        client = cloud.client("iot")
        with absent_is_fine():
            client.update_domain_configuration(
                domainConfigurationName=id, domainConfigurationStatus="DISABLED"
            )
            client.delete_domain_configuration(domainConfigurationName=id)


def _settings(inputs: dict[str, Any]) -> dict[str, Any]:
    return {key: inputs[key] for key in _CHANGEABLE if key in inputs and key != "status"} | (
        {"domainConfigurationStatus": inputs["status"]} if "status" in inputs else {}
    )


HANDLERS: Final[Mapping[str, Handler]] = {
    "aws:iot/domainConfiguration:DomainConfiguration": DomainConfiguration()
}
