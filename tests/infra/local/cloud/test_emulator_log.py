"""What the embedded cloud says on the terminal, and what it keeps for its log file."""

from __future__ import annotations

import logging
import socket
import ssl
from typing import TYPE_CHECKING, Any

from infra.local.cloud.emulator_log import logged_to

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

GONE = "returning true from eof_received() has no effect when using ssl"


def test_a_device_that_is_gone_is_no_news_on_the_terminal(
    start_cloud: Callable[..., Any], tmp_path: Path
) -> None:
    """What asyncio logs of a device's connection that ends is in the file, not on stderr."""
    cloud = start_cloud(tmp_path / "state")
    made = cloud.client("iot").create_keys_and_certificate(setAsActive=True)
    (tmp_path / "device.pem").write_text(made["certificatePem"] + made["keyPair"]["PrivateKey"])
    context = ssl.create_default_context(cadata=cloud.ready["ca"])
    context.load_cert_chain(tmp_path / "device.pem")
    _connect_and_die(context, cloud.ready["mqtt_port"])
    cloud.client("iot").list_things()  # the same loop answers after it has seen the device's end
    _, complaints = cloud.interrupt()

    assert GONE in (tmp_path / "state" / "emulator.log").read_text()
    assert complaints == ""


def _connect_and_die(context: ssl.SSLContext, port: int) -> None:
    """Send the handshake's last message and the connection's end in one segment, as one event."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    device = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        while True:
            try:
                device.do_handshake()
                break
            except ssl.SSLWantReadError:
                plain.sendall(outgoing.read())
                incoming.write(plain.recv(65_536))
        try:
            device.unwrap()
        except ssl.SSLWantReadError:
            plain.sendall(outgoing.read())
        plain.recv(65_536)


def test_all_else_that_asyncio_says_is_heard(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Only that one message is kept from the terminal, and only until the cloud ends."""
    asyncio_logger = logging.getLogger("asyncio")
    filters = list(asyncio_logger.filters)  # another cloud of this process has its own
    with logged_to(tmp_path / "emulator.log"):
        asyncio_logger.warning("socket.send() raised exception.")
        assert not all(one(_record(GONE)) for one in asyncio_logger.filters if callable(one))
    assert asyncio_logger.filters == filters
    assert caplog.messages == ["socket.send() raised exception."]


def _record(message: str) -> logging.LogRecord:
    return logging.LogRecord("asyncio", logging.WARNING, __file__, 1, message, None, None)
