"""Names of one's own: the broker answers those of the account's enabled domain configurations."""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

import ssl
import tempfile
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from infra.local.cloud.limits.table import DOMAIN

if TYPE_CHECKING:
    from infra.local.cloud.emulator import Emulator

_IOT: Final = "services.iot"
_REFUSED: Final = ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME


def own_names_are_answered(emulator: Emulator) -> None:
    """Show a certificate for each name of a domain configuration; else no client can dial it.

    The authority of the broker stands for the one of Certificate Manager. A disabled name is
    refused in the handshake: AWS's devices "receive an authentication error" (developer guide,
    "Managing domain configurations"). The name that the client sends must be that of the
    configuration (developer guide, "Creating and configuring customer managed domains").
    """
    names = _Names(emulator)

    def created(original: Any) -> Any:
        def create(name: str, payload: dict[str, Any]) -> Any:
            answer = original(name, payload)
            if answer[0] == HTTPStatus.OK:
                names.made(name)
            return answer

        return create

    def correction(original: Any) -> Any:
        def hello(connection: ssl.SSLObject, host: str | None, context: ssl.SSLContext) -> Any:
            match names.status(host):
                case None:
                    return original(connection, host, context)
                case "ENABLED":
                    return names.answer(connection, str(host))
                case _:
                    return _REFUSED

        return hello

    emulator.replace(_IOT, "_create_domain_configuration", created)
    emulator.replace(_IOT, "_mtls_on_client_hello", correction)


class _Names:
    """The hosts of the account's domain configurations."""

    def __init__(self, emulator: Emulator) -> None:
        self._iot, self._limits = emulator.module(_IOT), emulator.limits
        self._known_from: dict[str, float] = {}  # by configuration: a time of the clock
        self._shown: dict[str, _Shown] = {}

    def made(self, configuration: str) -> None:
        """A new one is known everywhere only after AWS's delay."""
        delay = self._limits.seconds(DOMAIN)
        self._known_from[configuration] = self._limits.clock.now() + delay

    def status(self, host: str | None) -> str | None:
        """ENABLED, DISABLED, or None: no name of a customer, or not known everywhere yet."""
        now = self._limits.clock.now()
        for record in list(self._iot._domain_configurations._data.values()):
            if record.get("domainName") == host and record["domainType"] == "CUSTOMER_MANAGED":
                known = now >= self._known_from.get(record["domainConfigurationName"], 0.0)
                return str(record["domainConfigurationStatus"]) if known else None
        return None

    def answer(self, connection: ssl.SSLObject, host: str) -> None:
        """Go on with the handshake under a host's own certificate.

        The emulator is not told the host: it would sign URLs of files for it.
        """
        if host not in self._shown:
            self._shown[host] = _Shown(self._iot, host)
        connection.context = self._shown[host].context()


class _Shown:
    """The TLS of one name: its certificate, and whom the registry knows."""

    def __init__(self, iot: Any, host: str) -> None:
        self._iot = iot
        self._anchors: set[str] = set()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.verify_mode = ssl.CERT_REQUIRED
        # As the broker's own: a registered certificate is an anchor, whoever signed it.
        self._context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        authority, signing_key = iot._ensure_ca()
        certificate, key, _ = iot.sign_leaf_certificate(
            authority, signing_key, common_name=host, san_dns=[host], san_ips=[]
        )
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as chain:
            chain.write(certificate + key)
            chain.flush()
            self._context.load_cert_chain(chain.name)

    def context(self) -> ssl.SSLContext:
        """With every certificate that is registered now."""
        for anchor, pem in self._iot._mtls_trust_anchors():
            if anchor not in self._anchors:
                self._anchors.add(anchor)
                with suppress(ssl.SSLError, ValueError):  # no certificate: nobody can show it
                    self._context.load_verify_locations(cadata=pem)
        return self._context
