"""Register devices before they come; the code of each is answered once."""

from datetime import datetime
from typing import Annotated

from litestar import Response, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from service.api.devices import DeviceOut
from service.api.guard import needs
from service.api.parameters import Caller, Label, Ops, utc
from service.cedar.device_facts import DEVICE_FACTS
from service.cedar.group_tree import MAX_ANCESTORS
from service.domain.permissions import Permission
from service.domain.tags import MAX_NAME, MAX_TAGS, MAX_TEXT
from service.errors import InvalidRequestError
from service.operations.registration import NewDevice, Registered


class NewDeviceBody(Struct, forbid_unknown_fields=True, frozen=True):
    """A device to come: its id, and the facts that policies decide by from the beginning."""

    id: Label
    groups: Annotated[list[Label], Meta(max_length=MAX_ANCESTORS)] = []
    attributes: dict[Label, Label] = {}
    tags: Annotated[
        dict[
            Annotated[str, Meta(min_length=1, max_length=MAX_NAME)],
            Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)],
        ],
        Meta(max_length=MAX_TAGS),
    ] = {}

    def device(self) -> NewDevice:
        """What is asked for.

        Raises:
            InvalidRequestError: an attribute that no device has.
        """
        for name in self.attributes:
            if name not in DEVICE_FACTS:
                raise InvalidRequestError(
                    f"attributes.{name}", f"is none of {', '.join(sorted(DEVICE_FACTS))}"
                )
        return NewDevice(
            id=self.id, groups=tuple(self.groups), attributes=self.attributes, tags=self.tags
        )


class RegisteredOut(Struct, frozen=True):
    """A device and its one-time code, which is stored nowhere: it is shown here and never again."""

    device: DeviceOut
    code: str
    expires_at: datetime | None

    @classmethod
    def of(cls, registered: Registered) -> "RegisteredOut":
        """A registration for the answer."""
        return cls(
            device=DeviceOut.of(registered.device),
            code=registered.code,
            expires_at=utc(registered.expires_at),
        )


@post("/devices", opt=needs(Permission.REGISTER_DEVICE))
async def register_device(
    access: Caller, operations: Ops, data: JSONBody[NewDeviceBody]
) -> Response[RegisteredOut]:
    """Register a device: the code lets it in once.

    A name that is taken is 409: an answer that was lost is made good by a new code.
    """
    return _answered(await operations.registration.register(access, data.device()))


@post("/devices/{device:str}/enrolment-code", opt=needs(Permission.REGISTER_DEVICE))
async def renew_enrolment_code(
    access: Caller, operations: Ops, device: FromPath[str]
) -> Response[RegisteredOut]:
    """A new code for a device that is not in yet; the former one ends."""
    return _answered(await operations.registration.renew_code(access, device))


def _answered(registered: Registered) -> Response[RegisteredOut]:
    where = {"Location": f"/v1/devices/{registered.device.id}"}
    return Response(RegisteredOut.of(registered), status_code=201, headers=where)
