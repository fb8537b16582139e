"""Answers that a server must not give, each a fault for ``ObjectServer.faults``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.device_sdk.downloads.object_server import Exchange


def truncated(exchange: Exchange) -> None:
    """Two thirds of the body, then the end of the connection."""
    exchange.good_head()
    exchange.send(exchange.body[: len(exchange.body) * 2 // 3])


def hang(exchange: Exchange) -> None:
    """Nothing at all."""
    exchange.wait(30)


def hang_in_header(exchange: Exchange) -> None:
    """One header byte now and then."""
    for _ in range(300):
        exchange.raw(b"H")
        exchange.wait(0.1)


def trickle(exchange: Exchange) -> None:
    """A right header, then one byte now and then."""
    exchange.good_head()
    for at in range(300):
        exchange.send(exchange.body[at : at + 1])
        exchange.wait(0.1)


def reset(exchange: Exchange) -> None:
    """Half the body, then a TCP reset."""
    exchange.good_head()
    exchange.send(exchange.body[: len(exchange.body) // 2])
    exchange.reset()


def no_http(exchange: Exchange) -> None:
    """Another protocol."""
    exchange.raw(b"220 mail.example.org ESMTP\r\n" * 50)


def endless_header(exchange: Exchange) -> None:
    """More header than any server has."""
    exchange.raw(b"HTTP/1.1 206 Words\r\n" + b"X-A: b\r\n" * 5000)


def long_header_line(exchange: Exchange) -> None:
    """One header of 100 KB."""
    exchange.raw(b"HTTP/1.1 206 Words\r\nX-A: " + b"b" * 100_000)


def other_range(exchange: Exchange) -> None:
    """The bytes one further, honestly labelled."""
    size = len(exchange.server.content)
    exchange.good_head(Content_Range=f"bytes {exchange.start + 1}-{exchange.end}/{size}")
    exchange.send(exchange.body)


def no_content_range(exchange: Exchange) -> None:
    """206 without saying which part."""
    exchange.good_head(Content_Range="")
    exchange.send(exchange.body)


def too_long(exchange: Exchange) -> None:
    """More body than the range."""
    exchange.good_head(Content_Length=len(exchange.body) + 1000)
    exchange.send(exchange.body + b"x" * 1000)


def no_length(exchange: Exchange) -> None:
    """A body that ends with the connection."""
    exchange.good_head(Content_Length="")
    exchange.send(exchange.body)


def chunked(exchange: Exchange) -> None:
    """Chunked transfer."""
    exchange.good_head(Transfer_Encoding="chunked")
    exchange.raw(b"5\r\nhello\r\n0\r\n\r\n")


def compressed(exchange: Exchange) -> None:
    """A body that claims to be encoded."""
    exchange.good_head(Content_Encoding="gzip")
    exchange.send(exchange.body)


def busy(exchange: Exchange) -> None:
    """503 with Retry-After."""
    exchange.head(503, Content_Length=0, Retry_After=0)


def too_many(exchange: Exchange) -> None:
    """429."""
    exchange.head(429, Content_Length=0)


def only_interim(exchange: Exchange) -> None:
    """100 Continue without end."""
    exchange.raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)


def bit_flip(exchange: Exchange) -> None:
    """Right in every header, one bit wrong in the body."""
    exchange.good_head()
    body = bytearray(exchange.body)
    body[len(body) // 3] ^= 1
    exchange.send(bytes(body))


HEALING = [
    hang, hang_in_header, trickle, reset, no_http, endless_header, long_header_line, other_range,
    no_content_range,
    too_long, no_length, chunked, compressed, busy, too_many, only_interim, bit_flip,
]  # fmt: skip
