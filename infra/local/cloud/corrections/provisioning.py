"""Fleet provisioning: what the emulator's devices cannot do over MQTT."""

# ruff: noqa: PLR0917, SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from infra.local.cloud.emulator import Emulator

_IOT: Final = "services.iot"
_TOPIC: Final = "$aws/certificates/create-from-csr/json"
_OPERATION: Final = "create-from-csr"


def certificate_from_csr_over_mqtt(emulator: Emulator) -> None:
    """Answer CreateCertificateFromCsr over MQTT, so that a device's private key stays with it."""
    iot = emulator.module(_IOT)

    def parse(original: Any) -> Any:
        return lambda topic: (_OPERATION, None) if topic == _TOPIC else original(topic)

    def reply(original: Any) -> Any:
        async def answer(
            account: str,
            region: str,
            operation: str,
            template: str | None,
            payload: bytes,
            device: Any,
        ) -> Any:
            if operation != _OPERATION:
                return await original(account, region, operation, template, payload, device)
            try:
                request = json.loads(payload)["certificateSigningRequest"]
                certificate = await asyncio.to_thread(_sign, iot, request)
            except (ValueError, KeyError, TypeError):
                return iot._fleet_rejected(
                    "InvalidCertificateSigningRequest",
                    "the certificate signing request is not valid",
                )
            certificate_id, token = iot.get_certificate_id(certificate), secrets.token_urlsafe(48)
            with iot.request_scope(account, region):
                record = iot._certificate_record(certificate_id, certificate, "PENDING_ACTIVATION")
                iot._certificates[certificate_id] = record
                iot._ownership_tokens[token] = {
                    "certificateId": certificate_id,
                    "expiration": time.time() + iot._OWNERSHIP_TOKEN_SECONDS,
                }
            return "accepted", {
                "certificateId": certificate_id,
                "certificatePem": certificate,
                "certificateOwnershipToken": token,
            }

        return answer

    emulator.replace(_IOT, "_parse_fleet_provisioning_topic", parse)
    emulator.replace(_IOT, "_fleet_provisioning_reply", reply)


def claim_is_no_device(emulator: Emulator) -> None:
    """Refuse claims that connect by client ids of our things' form, which would throw a device off.

    AWS does not say which client ids the claims of CreateProvisioningClaim may use.
    """

    def correction(original: Any) -> Any:
        def policy(template_name: str) -> str:
            document = json.loads(original(template_name))
            deny = {
                "Effect": "Deny",
                "Action": "iot:Connect",
                "Resource": "arn:aws:iot:*:*:client/*--*",
            }
            document["Statement"].append(deny)
            return json.dumps(document)

        return policy

    emulator.replace(_IOT, "_provisioning_claim_policy", correction)


def _sign(iot: Any, request: str) -> str:
    certificate, key = iot._ensure_ca()
    signed: str = iot.sign_certificate_request(certificate, key, request)
    return signed
