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

from botocore.exceptions import ClientError
from cedarfleet_device import wire

from service.adapters.aws.client.calls import error_code
from service.domain.enrolments import Certificate

if TYPE_CHECKING:
    from service.adapters.aws.client.calls import AwsCalls
    from service.adapters.aws.client.sessions import AwsSessions
    from service.domain.enrolments import Enrolment, SigningRequest
    from service.domain.tenants import Tenant

_REGISTRY: Final = "the registry of things"
THING_TYPE: Final = "cedarfleet-device"
ATTRIBUTE: Final = "registration"


@dataclass(frozen=True, kw_only=True)
class IotThings:
    """Answers ``ports.Things`` with the tenant's own session."""

    calls: AwsCalls
    sessions: AwsSessions

    async def make(self, tenant: Tenant, enrolment: Enrolment) -> str | None:
        return await self.calls.run(_REGISTRY, self._make, tenant, enrolment)

    async def sign(self, tenant: Tenant, request: SigningRequest) -> Certificate:
        return await self.calls.run(_REGISTRY, self._sign, tenant, request)

    async def certificate(self, tenant: Tenant, certificate_id: str) -> Certificate | None:
        return await self.calls.run(_REGISTRY, self._certificate, tenant, certificate_id)

    async def admit(self, tenant: Tenant, enrolment: Enrolment, certificate: Certificate) -> None:
        await self.calls.run(_REGISTRY, self._admit, tenant, enrolment, certificate)

    def _make(self, tenant: Tenant, enrolment: Enrolment) -> str | None:
        client, thing = self.sessions.tenant(tenant, "iot"), _thing(enrolment)
        try:
            made = client.create_thing(
                thingName=thing,
                thingTypeName=THING_TYPE,
                attributePayload={"attributes": {ATTRIBUTE: enrolment.registration}},
            )
        except ClientError as error:
            if error_code(error) != "ResourceAlreadyExistsException":
                raise
            return None
        client.add_thing_to_thing_group(thingGroupName=tenant.thing_group, thingName=thing)
        return str(made["thingId"])

    def _sign(self, tenant: Tenant, request: SigningRequest) -> Certificate:
        made = self.sessions.tenant(tenant, "iot").create_certificate_from_csr(
            certificateSigningRequest=request.pem, setAsActive=True
        )
        return Certificate(
            id=made["certificateId"],
            arn=made["certificateArn"],
            pem=made["certificatePem"],
            active=True,
        )

    def _certificate(self, tenant: Tenant, certificate_id: str) -> Certificate | None:
        client = self.sessions.tenant(tenant, "iot")
        try:
            found = client.describe_certificate(certificateId=certificate_id)
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            return None
        one = found["certificateDescription"]
        return Certificate(
            id=one["certificateId"],
            arn=one["certificateArn"],
            pem=one["certificatePem"],
            active=one["status"] == "ACTIVE",
        )

    def _admit(self, tenant: Tenant, enrolment: Enrolment, certificate: Certificate) -> None:
        client = self.sessions.tenant(tenant, "iot")
        client.attach_policy(policyName=device_policy(tenant.id), target=certificate.arn)
        # The policy asks for a thing that is attached: this is what lets the device in.
        client.attach_thing_principal(thingName=_thing(enrolment), principal=certificate.arn)


def device_policy(tenant_id: str) -> str:
    """The IoT policy of the tenant's devices, which its stack makes."""
    return f"{tenant_id}-device"


def _thing(enrolment: Enrolment) -> str:
    return wire.thing_name(enrolment.tenant, enrolment.device)
