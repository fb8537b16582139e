"""Onboarding: a claim is exchanged for a certificate of the device's own.

The private key is made here and never leaves. The tenant's provisioning template decides the
thing's name and groups; an answer that names another thing than the configuration is refused.
Certificate and key are on the disk before RegisterThing lets them in, so that whatever is cut off
there goes on with the same pair at the next call (docs: AWS IoT "Provisioning devices that don't
have device certificates using fleet provisioning").
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from awscrt import mqtt5
from awsiot import iotidentity

from cedarfleet_device import wire
from cedarfleet_device.connection.client import BriefConnection, NotAcceptedError, tls_context
from cedarfleet_device.connection.service_client import ServiceClient
from cedarfleet_device.errors import CloudError, ConfigError
from cedarfleet_device.identity.credentials import PendingPair, read_pem
from cedarfleet_device.identity.x509 import key_pem, new_key, request_pem
from cedarfleet_device.log import event

if TYPE_CHECKING:
    from pathlib import Path

    from awscrt.crypto import EC

    from cedarfleet_device.config import DeviceConfig

_CONNECT_SECONDS: Final = 20
_KEEP_ALIVE_SECONDS: Final = 30


@dataclass(frozen=True, kw_only=True)
class _Issued:
    certificate: bytes
    key: bytes
    ownership_token: str


def provision(config: DeviceConfig, *, claim_certificate: Path, claim_key: Path) -> None:
    """Get a certificate and write it with its key where the configuration says.

    A pair that an earlier call left, and that the broker lets in, is taken as it is.

    Args:
        config: ``[provisioning]`` names template and device.
        claim_certificate: PEM of the claim, which the tenant's operator hands to the installer.
        claim_key: PEM of its key.

    Raises:
        ConfigError: the configuration lacks something, names another thing than the template gives,
            or a file cannot be written: then nobody was asked.
        CloudError: not reached or refused; the pair in use stays.
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
    authority = read_pem(config.ca_file, "ca_file")
    pending = PendingPair(config.certificate_file, config.key_file)
    if (pair := pending.read()) is not None and _is_let_in(config, *pair, authority):
        pending.take()
        event("provisioning.resumed", thing=config.thing)
        return
    tls = tls_context(
        read_pem(claim_certificate, "claim certificate"),
        read_pem(claim_key, "claim key"),
        authority,
    )
    # Before the first packet: a folder that cannot be written costs no name in the cloud.
    key = new_key()
    pending.keep_key(key_pem(key))
    packet = mqtt5.ConnectPacket(
        # The claim policy of a tenant allows client ids of this form; no thing name holds a `:`.
        client_id=f"claim:{config.tenant}:{secrets.token_hex(8)}",
        keep_alive_interval_sec=_KEEP_ALIVE_SECONDS,
    )
    with BriefConnection(
        config,
        tls=tls,
        connect=packet,
        session=mqtt5.ClientSessionBehaviorType.CLEAN,
        seconds=_CONNECT_SECONDS,
    ) as client:
        identity = ServiceClient(iotidentity.IotIdentityClientV2, client)
        issued = _issue(identity, config, key)
        pending.keep(issued.certificate, issued.key)
        request = iotidentity.RegisterThingRequest(
            template_name=wanted.template,
            certificate_ownership_token=issued.ownership_token,
            parameters={"DeviceName": wanted.device, **wanted.parameters},
        )
        try:
            answer = identity.ask("RegisterThing", lambda each: each.register_thing(request))
        except CloudError as error:
            raise CloudError(
                f"{error}; if `{config.thing}` is another certificate's already, an operator must"
                " free the name first"
            ) from error
    # Fail closed: this identity is not the one that was asked for.
    if answer.thing_name != config.thing:
        raise ConfigError(f"the template made `{answer.thing_name}`, `thing` is `{config.thing}`")
    pending.take()
    event("provisioning.done", thing=config.thing, certificate_file=str(config.certificate_file))


def _is_let_in(config: DeviceConfig, certificate: bytes, key: bytes, authority: bytes) -> bool:
    """Whether the broker accepts this pair as the device."""
    try:
        with BriefConnection(
            config,
            tls=tls_context(certificate, key, authority),
            connect=mqtt5.ConnectPacket(client_id=config.thing),
            # The session, and what waits in it, is the agent's.
            session=mqtt5.ClientSessionBehaviorType.REJOIN_ALWAYS,
            seconds=_CONNECT_SECONDS,
        ):
            return True
    except (NotAcceptedError, ConfigError):
        return False


def _issue(
    identity: ServiceClient[iotidentity.IotIdentityClientV2], config: DeviceConfig, key: EC
) -> _Issued:
    request = iotidentity.CreateCertificateFromCsrRequest(
        certificate_signing_request=request_pem(key, config.provisioning.device)
    )
    try:
        signed = identity.ask(
            "CreateCertificateFromCsr", lambda each: each.create_certificate_from_csr(request)
        )
    except CloudError as error:
        if not config.provisioning.accept_cloud_made_key:
            raise CloudError(
                f"{error}; `provisioning.accept_cloud_made_key` allows a key made by the cloud"
            ) from error
        event("provisioning.key_made_by_cloud")
        asked = iotidentity.CreateKeysAndCertificateRequest()
        made = identity.ask(
            "CreateKeysAndCertificate", lambda each: each.create_keys_and_certificate(asked)
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
