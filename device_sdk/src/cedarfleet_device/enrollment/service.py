"""The service's HTTPS API as a device without a certificate asks it: one request, in words.

TLS begins at 1.2 and the server's certificate must be good; plain HTTP is spoken to this machine
only. Neither the code nor the answer's certificate reaches a log or an error.
"""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from cedarfleet_device.errors import CloudError, ConfigError
from cedarfleet_device.proxies import is_this_machine, proxy_for

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS: Final = 30.0
_MOST_BYTES: Final = 256 * 1024
_LATER: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class TryAgainError(CloudError):
    """Nobody answered, or it is too early: the same request may succeed."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a device is told when it is let in.

    Attributes:
        certificate: PEM.
        host: where it connects by MQTT.
        authorities: PEM of who signs that host's certificate.
    """

    thing: str
    certificate: bytes
    host: str
    port: int
    authorities: bytes


@dataclass(frozen=True, kw_only=True)
class EnrolmentService:
    """Where devices are let in.

    Attributes:
        url: of the API, without `/v1`.
        ca_file: PEM of who signs its certificate; ``None``: the system's.
        proxy: as ``connection.proxy`` of the file; empty: the environment decides.
    """

    url: str
    ca_file: Path | None = None
    proxy: str = field(default="", repr=False)

    def ask(self, *, tenant: str, device: str, code: str, request: str) -> Answer:
        """Ask to be let in.

        Args:
            tenant: as it was registered.
            device: likewise.
            code: one-time.
            request: PEM, PKCS #10.

        Raises:
            ConfigError: the address, or the file of authorities, is not as it must be.
            TryAgainError: not reached, or told to come later.
            CloudError: refused, or an answer that is none.
        """
        body = {"tenant": tenant, "device": device, "code": code, "csr": request}
        connection, path = self._connection()
        try:
            connection.request(
                "POST",
                f"{path}/v1/enrolments",
                body=json.dumps(body),
                headers={"Content-Type": "application/json"},
            )
            answer = connection.getresponse()
            content = answer.read(_MOST_BYTES + 1)
        except ssl.SSLCertVerificationError as error:
            raise CloudError(
                f"`{self.url}` is not who it should be: {error.verify_message}; `--api-ca` names"
                " who signs its certificate"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise TryAgainError(f"`{self.url}` cannot be reached: {error}") from error
        finally:
            connection.close()
        if answer.status == HTTPStatus.OK and len(content) <= _MOST_BYTES:
            return self._read(content)
        raise self._refusal(answer.status, content)

    def _connection(self) -> tuple[http.client.HTTPConnection, str]:
        parts = urlsplit(self.url)
        try:
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise ConfigError(f"`--api` `{self.url}` is no address: {error}") from error
        if not host or parts.scheme not in {"https", "http"} or parts.query or parts.username:
            raise ConfigError(f"`--api` is `{self.url}`, it must be like `https://api.example.com`")
        path = parts.path.rstrip("/")
        if parts.scheme == "http":
            # Fail closed: the code would be everybody's on the way.
            if not is_this_machine(host):
                raise ConfigError(f"`--api` `{self.url}` must be `https://`")
            return http.client.HTTPConnection(host, port, timeout=_SECONDS), path
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise ConfigError(f"`--api-ca` `{self.ca_file}` cannot be used: {error}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        proxy = proxy_for(host, key="connection.proxy", text=self.proxy)
        if proxy is None:
            return http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=context), path
        where = proxy.address
        connection = http.client.HTTPSConnection(*where, timeout=_SECONDS, context=context)
        who = {} if proxy.authorization is None else {"Proxy-Authorization": proxy.authorization}
        connection.set_tunnel(host, port or http.client.HTTPS_PORT, headers=who)
        return connection, path

    def _read(self, content: bytes) -> Answer:
        try:
            told: dict[str, Any] = json.loads(content)
            return Answer(
                thing=str(told["thing"]),
                certificate=str(told["certificate"]).encode("ascii"),
                host=str(told["mqtt"]["host"]),
                port=int(told["mqtt"]["port"]),
                authorities=str(told["ca"]).encode("ascii"),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise CloudError(f"`{self.url}` answered no enrolment") from error

    def _refusal(self, status: int, content: bytes) -> CloudError:
        try:
            told: dict[str, Any] = json.loads(content)
            named = [f"{one['field']}: {one['problem']}" for one in told.get("errors", ())]
            words = "; ".join([str(told["detail"])] if "detail" in told else named)[:500]
        except (ValueError, KeyError, TypeError, AttributeError):
            words = "without a reason"
        if status == HTTPStatus.UNAUTHORIZED:
            words += ": is it the code of this very device, and the newest one?"
        kind = TryAgainError if status in _LATER else CloudError
        return kind(f"`{self.url}` refused ({status}): {words}")
