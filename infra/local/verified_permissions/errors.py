"""What a request may be refused with, as the API names it.

Drawn by who must act::

    ApiError
    ├── the caller's request is wrong
    │   ├── InvalidInputError          ValidationException, with the fields at fault
    │   ├── MalformedRequestError      SerializationException: the body is not awsJson1.0
    │   └── UnknownOperationError      UnknownOperationException
    ├── the caller's request does not fit what is stored
    │   ├── NotFoundError              ResourceNotFoundException
    │   ├── ConflictError              ConflictException
    │   ├── InvalidStateError          InvalidStateException: deletion protection
    │   ├── QuotaExceededError         ServiceQuotaExceededException
    │   └── TooManyTagsError           TooManyTagsException
    └── AccessDenied                   the authenticator's refusal, under the code that it chose
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

ResourceType = Literal[
    "IDENTITY_SOURCE", "POLICY_STORE", "POLICY", "POLICY_TEMPLATE", "SCHEMA", "POLICY_STORE_ALIAS"
]


class ApiError(Exception):
    """A refusal that travels to the client; ``code`` is what the SDKs branch on."""

    code: ClassVar[str]
    status: int = 400

    def __init__(self, message: str, **members: Any) -> None:
        super().__init__(message)
        self.message = message
        self.members = members

    def body(self) -> dict[str, Any]:
        """The JSON document of the answer: botocore reads the code from ``__type``."""
        return {
            "__type": f"com.amazonaws.verifiedpermissions#{self.code}",
            "message": self.message,
            **{name: value for name, value in self.members.items() if value is not None},
        }


@dataclass(frozen=True)
class Field:
    """One thing that is wrong with a request: where it stands and why it is refused."""

    path: str
    message: str


class InvalidInputError(ApiError):
    """The request breaks a rule; every field at fault is listed."""

    code = "ValidationException"

    def __init__(self, *fields: Field, message: str = "Invalid input") -> None:
        listed = [{"path": field.path, "message": field.message} for field in fields]
        super().__init__(message, fieldList=listed or None)
        self.fields = fields


class MalformedRequestError(ApiError):
    """The body is no JSON object, or a member has the wrong JSON type."""

    code = "SerializationException"


class UnknownOperationError(ApiError):
    """The target names no operation of this API."""

    code = "UnknownOperationException"


class NotFoundError(ApiError):
    """The named resource is not in this account and region."""

    code = "ResourceNotFoundException"

    def __init__(self, message: str, *, resource_id: str, resource_type: ResourceType) -> None:
        super().__init__(message, resourceId=resource_id, resourceType=resource_type)


class ConflictError(ApiError):
    """A name, an alias or a client token already stands for something else."""

    code = "ConflictException"

    def __init__(self, message: str, *, resource_id: str, resource_type: ResourceType) -> None:
        super().__init__(
            message, resources=[{"resourceId": resource_id, "resourceType": resource_type}]
        )


class InvalidStateError(ApiError):
    """Deletion protection is on."""

    code = "InvalidStateException"


class QuotaExceededError(ApiError):
    """A quota is used up; AWS answers it with status 402."""

    code = "ServiceQuotaExceededException"
    status = 402

    def __init__(
        self, message: str, *, resource_type: ResourceType, resource_id: str | None = None
    ) -> None:
        super().__init__(
            message,
            resourceType=resource_type,
            resourceId=resource_id,
            serviceCode="verifiedpermissions",
        )


class TooManyTagsError(ApiError):
    """More than 50 tags on one resource."""

    code = "TooManyTagsException"

    def __init__(self, message: str, *, resource_name: str) -> None:
        super().__init__(message, resourceName=resource_name)


class AccessDenied(Exception):  # noqa: N818 - the name of the contract with whoever authenticates
    """Raised by the ``authenticate`` callable: who calls may not do this, or is not known."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    def body(self) -> dict[str, Any]:
        """The JSON document of the answer."""
        return {"__type": self.code, "message": self.message}
