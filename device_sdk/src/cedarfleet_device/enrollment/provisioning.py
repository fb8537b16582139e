"""Onboarding: a claim is exchanged for a certificate of the device's own.

The private key is made here and never leaves. The tenant's provisioning template decides the thing's name and groups;
an answer that names another thing than the configuration is refused before anything is written (docs: AWS IoT
"Provisioning devices that don't have device certificates using fleet provisioning").
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, TypeVar

import awscrt.exceptions
from awscrt import mqtt5, mqtt_request_response
from awsiot import V2ServiceException, iotidentity

from cedarfleet_device import wire
from cedarfleet_device.connection.mqtt import tls_context
from cedarfleet_device.errors import CloudError, ConfigError
from cedarfleet_device.identity.credentials import read_pem, replace_credentials
from cedarfleet_device.identity.x509 import key_pem, new_key, request_pem
from cedarfleet_device.log import event

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    from cedarfleet_device.config import DeviceConfig

_T = TypeVar("_T")
_ANSWER_SECONDS: Final = 10
_CONNECT_SECONDS: Final = 20


@dataclass(frozen=True, kw_only=True)
class _Issued:
    certificate: bytes
    key: bytes
    ownership_token: str


def provision(config: DeviceConfig, *, claim_certificate: Path, claim_key: Path) -> None:
    """Get a certificate and write it with its key where the configuration says.

    Args:
        config: ``[provisioning]`` names template and device.
        claim_certificate: PEM of the claim, which the tenant's operator hands to the installer.
        claim_key: PEM of its key.

    Raises:
        ConfigError: the configuration lacks something, or names another thing than the template gives.
        CloudError: not reached or refused; nothing was written.
    """
    wanted = config.provisioning
    if not wanted.template or not wanted.device:
        raise ConfigError(
            "`provisioning.template` and `provisioning.device` must say what to ask for"
        )
    if wire.thing_name(config.tenant, wanted.device) != config.thing:
        raise ConfigError(
            f"`provisioning.device` `{wanted.device}` is not the device of `thing` `{config.thing}`"
        )
    tls = tls_context(
        read_pem(claim_certificate, "claim certificate"),
        read_pem(claim_key, "claim key"),
        read_pem(config.ca_file, "ca_file"),
    )
    # The claim policy of a tenant allows client ids of this form; no thing name holds a `:`.
    with _Session(config, tls, f"claim:{config.tenant}:{secrets.token_hex(8)}") as session:
        issued = _issue(session, config)
        request = iotidentity.RegisterThingRequest(
            template_name=wanted.template,
            certificate_ownership_token=issued.ownership_token,
            parameters={"DeviceName": wanted.device, **wanted.parameters},
        )
        answer = session.ask("RegisterThing", lambda identity: identity.register_thing(request))
    if (
        answer.thing_name != config.thing
    ):  # fail closed: this identity is not the one that was asked for
        raise ConfigError(f"the template made `{answer.thing_name}`, `thing` is `{config.thing}`")
    replace_credentials(
        config.certificate_file, config.key_file, certificate=issued.certificate, key=issued.key
    )
    event("provisioning.done", thing=config.thing, certificate_file=str(config.certificate_file))


def _issue(session: _Session, config: DeviceConfig) -> _Issued:
    key = new_key()
    request = iotidentity.CreateCertificateFromCsrRequest(
        certificate_signing_request=request_pem(key, config.provisioning.device)
    )
    try:
        signed = session.ask(
            "CreateCertificateFromCsr", lambda each: each.create_certificate_from_csr(request)
        )
    except CloudError as error:
        if not config.provisioning.accept_cloud_made_key:
            raise CloudError(
                f"{error}; `provisioning.accept_cloud_made_key` allows a key made by the cloud"
            ) from error
        event("provisioning.key_made_by_cloud")
        made = session.ask(
            "CreateKeysAndCertificate",
            lambda each: each.create_keys_and_certificate(
                iotidentity.CreateKeysAndCertificateRequest()
            ),
        )
        return _Issued(
            certificate=(made.certificate_pem or "").encode(),
            key=(made.private_key or "").encode(),
            ownership_token=made.certificate_ownership_token or "",
        )
    return _Issued(
        certificate=(signed.certificate_pem or "").encode(),
        key=key_pem(key),
        ownership_token=signed.certificate_ownership_token or "",
    )


class _Session:
    """A connection for a few questions."""

    def __init__(self, config: DeviceConfig, tls: object, client_id: str) -> None:
        self._address = f"{config.endpoint}:{config.port}"
        self._settled = threading.Event()
        self._stopped = threading.Event()
        self._refusal: str | None = None
        self._client = mqtt5.Client(
            mqtt5.ClientOptions(
                host_name=config.endpoint,
                port=config.port,
                tls_ctx=tls,  # pyright: ignore[reportArgumentType]
                connect_options=mqtt5.ConnectPacket(
                    client_id=client_id, keep_alive_interval_sec=30
                ),
                session_behavior=mqtt5.ClientSessionBehaviorType.CLEAN,
                on_lifecycle_event_connection_success_fn=lambda _: self._settled.set(),
                on_lifecycle_event_connection_failure_fn=self._refused,
                on_lifecycle_event_stopped_fn=lambda _: self._stopped.set(),
            )
        )
        self._identity: iotidentity.IotIdentityClientV2 | None = None

    def ask(
        self, name: str, question: Callable[[iotidentity.IotIdentityClientV2], Future[_T]]
    ) -> _T:
        """One answer.

        Raises:
            CloudError: refused, or none in time.
        """
        if self._identity is None:
            raise CloudError("the session is closed")
        try:
            return question(self._identity).result(_ANSWER_SECONDS + 5)
        except V2ServiceException as error:
            modeled = error.modeled_error
            words = (
                f"{modeled.error_code}: {modeled.error_message}"
                if modeled
                else str(error.inner_error)
            )
            raise CloudError(f"{name} was refused: {words}") from error
        except (TimeoutError, awscrt.exceptions.AwsCrtError) as error:
            raise CloudError(f"{name} was not answered: {error}") from error

    def __enter__(self) -> Self:
        self._client.start()
        self._settled.wait(_CONNECT_SECONDS)
        if self._refusal is not None or not self._settled.is_set():
            self._close()
            raise CloudError(
                f"`{self._address}` did not accept the connection: {self._refusal or 'no answer'}"
            )
        options = mqtt_request_response.ClientOptions(
            max_request_response_subscriptions=6,
            max_streaming_subscriptions=1,
            operation_timeout_in_seconds=_ANSWER_SECONDS,
        )
        self._identity = iotidentity.IotIdentityClientV2(self._client, options)
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        self._identity = None
        self._client.stop(
            mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION)
        )
        self._stopped.wait(5)

    def _refused(self, data: mqtt5.LifecycleConnectFailureData) -> None:
        code = (
            f", reason code {int(data.connack_packet.reason_code)}" if data.connack_packet else ""
        )
        self._refusal = f"{getattr(data.exception, 'name', data.exception)}{code}"
        self._settled.set()
