"""A registered device comes in: no token, but a one-time code and a key of its own."""

from typing import Annotated

from litestar import Request, post
from litestar.datastructures import State
from litestar.params import JSONBody
from msgspec import Meta, Struct

from service.api.guard import by_code
from service.api.parameters import Ops
from service.domain.enrolments import MAX_REQUEST
from service.operations.enrolment import Enrolled, EnrolmentRequest


class EnrolmentBody(Struct, forbid_unknown_fields=True, frozen=True):
    """What a device proves: that it is the one that was registered, and that it has its key."""

    tenant: Annotated[str, Meta(min_length=1, max_length=64)]
    device: Annotated[str, Meta(min_length=1, max_length=64)]
    code: Annotated[str, Meta(min_length=1, max_length=128)]
    csr: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=MAX_REQUEST,
            description="PEM, PKCS #10; P-256, or RSA of 2048 bits or more",
        ),
    ]


class EndpointOut(Struct, frozen=True):
    """Where the device connects by MQTT over TLS."""

    host: str
    port: int


class EnrolledOut(Struct, frozen=True):
    """What the device goes on with; ``ca`` is PEM of who signs the endpoint's certificate."""

    thing: str
    certificate: str
    mqtt: EndpointOut
    ca: str

    @classmethod
    def of(cls, enrolled: Enrolled) -> "EnrolledOut":
        """An enrolment for the answer."""
        endpoint = enrolled.endpoint
        return cls(
            thing=enrolled.thing,
            certificate=enrolled.certificate.pem,
            mqtt=EndpointOut(host=endpoint.host, port=endpoint.port),
            ca=endpoint.authorities,
        )


@post("/enrolments", opt=by_code(), status_code=200, security=[])
async def enrol(
    request: Request[None, None, State], operations: Ops, data: JSONBody[EnrolmentBody]
) -> EnrolledOut:
    """Let a registered device in.

    Repeated with the same code and key it gives the same answer; another key is refused.
    """
    asked = EnrolmentRequest(tenant=data.tenant, device=data.device, code=data.code, csr=data.csr)
    return EnrolledOut.of(await operations.enrol(asked, request.scope["state"]["facts"]))
