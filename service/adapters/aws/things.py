"""Things and certificates in IoT Core, each call of a kind that may be repeated.

CreateThing succeeds again with the same configuration and is refused with another (AWS IoT API
reference, "CreateThing"): the attribute `registration` makes that of each registration its own.
AddThingToThingGroup, AttachPolicy and AttachThingPrincipal leave as it is what is so already
(assumed; the pages do not say otherwise). A signing request that is used again gives another
certificate ("CreateCertificateFromCsr"): a certificate whose id was not written down is left over,
with no policy and no thing, and may do nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cedarfleet_device import wire

from service.adapters.aws.client.failures import AwsRefusalError, asks
from service.domain.enrolments import Certificate

if TYPE_CHECKING:
    from service.adapters.aws.client.door import AwsDoor
    from service.domain.devices import Device
    from service.domain.enrolments import Enrolment, SigningRequest
    from service.domain.tenants import Tenant

_REGISTRY: Final = "the registry of things"
THING_TYPE: Final = "cedarfleet-device"
ATTRIBUTE: Final = "registration"


@dataclass(frozen=True, kw_only=True)
class IotThings:
    """Answers ``ports.Things`` with the tenant's own session."""

    aws: AwsDoor

    @asks(_REGISTRY)
    async def make(self, tenant: Tenant, enrolment: Enrolment) -> str | None:
        registry, thing = self.aws.tenant(tenant, "iot"), _thing(enrolment)
        try:
            made = await registry.call(
                "CreateThing",
                thingName=thing,
                thingTypeName=THING_TYPE,
                attributePayload={"attributes": {ATTRIBUTE: enrolment.registration}},
            )
        except AwsRefusalError as error:
            if error.code != "ResourceAlreadyExistsException":
                raise
            return None
        await registry.call(
            "AddThingToThingGroup", thingGroupName=tenant.thing_group, thingName=thing
        )
        return str(made["thingId"])

    @asks(_REGISTRY)
    async def sign(self, tenant: Tenant, request: SigningRequest) -> Certificate:
        made = await self.aws.tenant(tenant, "iot").call(
            "CreateCertificateFromCsr", certificateSigningRequest=request.pem, setAsActive=True
        )
        return Certificate(
            id=made["certificateId"],
            arn=made["certificateArn"],
            pem=made["certificatePem"],
            active=True,
        )

    @asks(_REGISTRY)
    async def certificate(self, tenant: Tenant, certificate_id: str) -> Certificate | None:
        registry = self.aws.tenant(tenant, "iot")
        try:
            found = await registry.call("DescribeCertificate", certificateId=certificate_id)
        except AwsRefusalError as error:
            if error.code != "ResourceNotFoundException":
                raise
            return None
        one = found["certificateDescription"]
        return Certificate(
            id=one["certificateId"],
            arn=one["certificateArn"],
            pem=one["certificatePem"],
            active=one["status"] == "ACTIVE",
        )

    @asks(_REGISTRY)
    async def put_off(self, tenant: Tenant, device: Device, certificates: frozenset[str]) -> None:
        registry = self.aws.tenant(tenant, "iot")
        for certificate in sorted(certificates | await self._attached(tenant, device.thing)):
            found = await self.certificate(tenant, certificate)
            # One that was revoked stays so.
            if found is not None and found.active:
                await registry.call(
                    "UpdateCertificate", certificateId=certificate, newStatus="INACTIVE"
                )

    async def _attached(self, tenant: Tenant, thing: str) -> set[str]:
        """The certificates of a thing; none of one that was never made."""
        registry, token, found = self.aws.tenant(tenant, "iot"), "", set[str]()
        while True:
            more = {"nextToken": token} if token else {}
            try:
                page = await registry.call("ListThingPrincipals", thingName=thing, **more)
            except AwsRefusalError as error:
                if error.code != "ResourceNotFoundException":
                    raise
                return found
            parts = (arn.partition(":cert/") for arn in page.get("principals", ()))
            found |= {certificate for _, _, certificate in parts if certificate}
            if not (token := page.get("nextToken", "")):
                return found

    @asks(_REGISTRY)
    async def admit(self, tenant: Tenant, enrolment: Enrolment, certificate: Certificate) -> None:
        registry = self.aws.tenant(tenant, "iot")
        policy = device_policy(tenant.id)
        await registry.call("AttachPolicy", policyName=policy, target=certificate.arn)
        # The policy asks for a thing that is attached: this is what lets the device in.
        await registry.call(
            "AttachThingPrincipal", thingName=_thing(enrolment), principal=certificate.arn
        )


def device_policy(tenant_id: str) -> str:
    """The IoT policy of the tenant's devices, which its stack makes."""
    return f"{tenant_id}-device"


def _thing(enrolment: Enrolment) -> str:
    return wire.thing_name(enrolment.tenant, enrolment.device)
