"""Questions to a service of AWS IoT over an MQTT client: one answer each, or one ``CloudError``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

import awscrt.exceptions
from awscrt import mqtt_request_response
from awsiot import V2ServiceException

from cedarfleet_device.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from awscrt import mqtt5

ANSWER_SECONDS: Final = 10
_GRACE_SECONDS: Final = 5  # the runtime's own limit comes first, and says what it waited for
_MOST_SUBSCRIPTIONS: Final = 6
_MOST_STREAMS: Final = 2

_Service = TypeVar("_Service")
_Answer = TypeVar("_Answer")


class RefusedByServiceError(CloudError):
    """The service answered with an error.

    Args:
        code: the service's word for it; None: the runtime refused to ask.
        message: for people.
    """

    def __init__(self, code: str | None, message: str) -> None:
        super().__init__(message)
        self.code = code


class ServiceClient(Generic[_Service]):
    """One of awsiot's clients.

    Args:
        service: makes it, e.g. ``iotjobs.IotJobsClientV2``.
        client: the MQTT client that the questions travel over.
    """

    def __init__(
        self,
        service: Callable[[mqtt5.Client, mqtt_request_response.ClientOptions], _Service],
        client: mqtt5.Client,
    ) -> None:
        options = mqtt_request_response.ClientOptions(
            max_request_response_subscriptions=_MOST_SUBSCRIPTIONS,
            max_streaming_subscriptions=_MOST_STREAMS,
            operation_timeout_in_seconds=ANSWER_SECONDS,
        )
        self.service: Final = service(client, options)

    def ask(self, name: str, question: Callable[[_Service], Future[_Answer]]) -> _Answer:
        """Ask and wait.

        Args:
            name: of the operation, as AWS calls it.
            question: begins it.

        Raises:
            RefusedByServiceError: the service answered with an error.
            CloudError: no answer in time, or the connection was lost.
        """
        try:
            return question(self.service).result(ANSWER_SECONDS + _GRACE_SECONDS)
        except V2ServiceException as error:
            # Jobs and provisioning name the same two members differently.
            modeled = error.modeled_error
            code = getattr(modeled, "code", None) or getattr(modeled, "error_code", None)
            words = getattr(modeled, "message", None) or getattr(modeled, "error_message", None)
            said = ": ".join(str(each) for each in (code, words) if each) or error.inner_error
            raise RefusedByServiceError(code, f"{name} was refused: {said}") from error
        except (TimeoutError, awscrt.exceptions.AwsCrtError) as error:
            raise CloudError(f"{name} was not answered: {error}") from error
