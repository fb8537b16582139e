"""The other rules without I/O: limits, retries, pace, addresses, and what an HTTP answer means."""

from __future__ import annotations

import random

import pytest
from cedarfleet_device.config import DownloadLimits
from cedarfleet_device.downloads.outcomes import DownloadRefusedError, Reason
from cedarfleet_device.downloads.range_client.acceptance import accept
from cedarfleet_device.downloads.range_client.answers import (
    Answer,
    ChangedObjectError,
    ExpiredUrlError,
    NoRangesError,
    TryAgainError,
)
from cedarfleet_device.downloads.range_client.url import parse_address
from cedarfleet_device.downloads.ranges import ByteRange
from cedarfleet_device.downloads.retry import RetryBudget
from cedarfleet_device.downloads.throughput import StallDetector, TokenBucket
from hypothesis import given
from hypothesis import strategies as st


class Largest:
    """Draws the largest jitter."""

    def uniform(self, a: float, b: float, /) -> float:
        """The upper bound."""
        assert a <= b
        return b


class Clock:
    """Time that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        """The time now, in seconds."""
        return self.now


@pytest.mark.parametrize(
    "name", ["max_bytes", "attempts", "connections", "checkpoint_bytes", "stall_seconds"]
)
def test_a_limit_of_zero_is_refused_by_name(name: str):
    """A limit under which nothing could be fetched is an error that names it."""
    with pytest.raises(ValueError, match=name):
        DownloadLimits(**{name: 0})  # pyright: ignore[reportArgumentType] - numbers


def test_a_bandwidth_below_the_stall_rate_is_refused():
    """A limit that would make every connection look stalled is an error."""
    with pytest.raises(ValueError, match="bytes_per_second"):
        DownloadLimits(bytes_per_second=100)


def test_pauses_grow_and_end_with_the_budget():
    """Pauses lie below a doubling bound, honour Retry-After to the cap, and end with the tries."""
    budget = RetryBudget(
        limits=DownloadLimits(attempts=6, backoff_seconds=1, backoff_cap_seconds=5), step=10
    )
    budget.random = random.Random(1)  # noqa: S311 - jitter of a test
    pauses = [budget.next_pause(0) for _ in range(6)]
    assert pauses[-1] is None
    for bound, pause in zip([1, 2, 4, 5, 5], pauses, strict=False):
        assert pause is not None
        assert 0 <= pause <= bound
    patient = RetryBudget(limits=DownloadLimits(backoff_cap_seconds=5), step=10)
    assert patient.next_pause(0, retry_after=3600) == 5


def test_an_outage_of_hours_is_waited_out():
    """While nobody is reached, pauses stay short and no try counts, until the time is over."""
    clock = Clock()
    budget = RetryBudget(limits=DownloadLimits(attempts=2), step=10, now=lambda: clock.now)
    begun = clock.now
    while clock.now - begun < 6 * 3600:
        pause = budget.next_pause(0, unreachable=True)
        assert pause is not None
        assert pause <= 30
        clock.now += pause + 0.1
    assert budget.next_pause(0) is not None, "the first try that counts"
    assert budget.next_pause(0, unreachable=True) is not None
    clock.now += 7 * 86_400
    assert budget.next_pause(0, unreachable=True) is None
    again = RetryBudget(limits=DownloadLimits(attempts=2), step=10, now=lambda: clock.now)
    assert again.next_pause(0, unreachable=True) is not None
    clock.now += 7 * 86_400
    assert again.next_pause(10, unreachable=True) is not None, "progress begins the time anew"


def test_only_noteworthy_progress_refills_the_budget():
    """A server that gives a few bytes each time cannot keep the device trying for ever."""
    trickle = RetryBudget(limits=DownloadLimits(attempts=4, backoff_seconds=0.01), step=1000)
    assert [trickle.next_pause(at) is None for at in range(4)] == [False, False, False, True]
    grown = RetryBudget(
        limits=DownloadLimits(attempts=9, backoff_seconds=1), step=10, random=Largest()
    )
    assert [grown.next_pause(0) for _ in range(4)] == [1, 2, 4, 8]
    assert grown.next_pause(10) == 1, "progress makes pauses short again"
    steady = RetryBudget(limits=DownloadLimits(attempts=4, backoff_seconds=0.01), step=1000)
    assert all(steady.next_pause(at * 1000) is not None for at in range(100))


@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=50))
def test_the_bucket_holds_its_rate(reads: list[int]):
    """A reader that waits as told receives at most the rate plus a quarter of a second's burst."""
    clock = Clock()
    started = clock.now
    bucket = TokenBucket(50_000, clock=clock)
    for count in reads:
        clock.now += bucket.take(count)
    assert sum(reads) <= 50_000 * (clock.now - started + 0.25) + 1


def test_a_connection_stalls_only_when_the_server_is_to_blame():
    """Too few bytes in a whole window stall; waiting for our own disk or limit does not."""
    clock = Clock()
    detector = StallDetector(window_seconds=10, smallest=100, clock=clock)
    clock.now += 9
    assert not detector.is_stalled()
    detector.received += 99
    clock.now += 2
    assert detector.is_stalled()
    detector.received += 1
    assert not detector.is_stalled()
    detector.excused = True
    clock.now += 100
    assert not detector.is_stalled()
    detector.excused = False
    clock.now += 9
    assert not detector.is_stalled()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/x", "https:///x", "https://user@h/x", "https://h/a b",
        "https://h/\r\nHost: evil", "https://[::1", "",
        "https://h:99999/", "https://h:0/x", "http://example.org/x", "file:///etc/passwd",
        "https://h/" + "x" * 20_000, "https://h/é",
    ],
)  # fmt: skip
def test_odd_urls_are_refused_without_being_shown(url: str):
    """Only https, or http to this machine, and nothing that could smuggle a header.

    The error keeps the URL secret.
    """
    with pytest.raises(DownloadRefusedError) as caught:
        parse_address(url, allow_http=False)
    assert caught.value.reason is Reason.URL
    assert "evil" not in str(caught.value)


def test_an_address_keeps_what_the_signature_covers():
    """Host header and target are those of the URL.

    A default port stays away; the query is not in the repr.
    """
    address = parse_address(
        "https://bucket.s3.amazonaws.com/k%2Fy?X-Amz-Signature=secret", allow_http=False
    )
    assert (address.host_header, address.port) == ("bucket.s3.amazonaws.com", 443)
    assert address.target == "/k%2Fy?X-Amz-Signature=secret"
    assert "secret" not in repr(address)
    assert parse_address("http://127.0.0.1:8080/", allow_http=False).host_header == "127.0.0.1:8080"
    assert parse_address("http://[::1]:8080/", allow_http=False).host_header == "[::1]:8080"
    assert parse_address("http://example.org", allow_http=True).target == "/"


def answer(status: int, headers: dict[str, str] | None = None, code: str = "") -> Answer:
    """An answer whose body, when it has one, carries S3's error code."""
    return Answer(
        status=status, headers=headers or {}, excerpt=f"<Error><Code>{code}</Code></Error>".encode()
    )


GOOD = {"content-length": "10", "content-range": "bytes 5-14/100", "etag": '"a"'}


def test_a_right_answer_gives_its_etag():
    """206 with the range, the size and the object that were asked for is accepted."""
    assert accept(answer(206, GOOD), wanted=ByteRange(5, 15), size=100, etag=None) == '"a"'
    assert accept(answer(206, GOOD), wanted=ByteRange(5, 15), size=100, etag='"a"') == '"a"'


@pytest.mark.parametrize(
    ("spoiled", "expected"),
    [
        (answer(206, GOOD | {"etag": '"b"'}), ChangedObjectError),
        (answer(206, GOOD | {"content-range": "bytes 5-14/101"}), ChangedObjectError),
        (answer(206, GOOD | {"content-range": "bytes 4-13/100"}), TryAgainError),
        (answer(206, GOOD | {"content-range": ""}), TryAgainError),
        (answer(206, GOOD | {"content-length": "11"}), TryAgainError),
        (answer(206, GOOD | {"content-length": "10, 10"}), TryAgainError),
        (answer(206, GOOD | {"content-length": "-10"}), TryAgainError),
        (answer(206, GOOD | {"transfer-encoding": "chunked"}), TryAgainError),
        (answer(206, GOOD | {"content-encoding": "gzip"}), TryAgainError),
        (answer(200, {"content-length": "100", "etag": '"a"'}), NoRangesError),
        (answer(200, {"content-length": "99", "etag": '"a"'}), ChangedObjectError),
        (answer(204), TryAgainError),
        (answer(301, {"location": "https://elsewhere/"}), DownloadRefusedError),
        (answer(400), DownloadRefusedError),
        (answer(400, code="ExpiredToken"), ExpiredUrlError),
        (answer(400, code="RequestTimeout"), TryAgainError),
        (answer(403, code="AccessDenied"), ExpiredUrlError),
        (answer(403, code="RequestTimeTooSkewed"), TryAgainError),
        (answer(404, code="NoSuchKey"), DownloadRefusedError),
        (answer(410), DownloadRefusedError),
        (answer(412), ChangedObjectError),
        (answer(416), ChangedObjectError),
        (answer(429), TryAgainError),
        (answer(503), TryAgainError),
        (answer(999), TryAgainError),
    ],
)
def test_every_other_answer_says_what_to_do(spoiled: Answer, expected: type[Exception]):
    """No answer that differs from what was asked for is taken for data."""
    with pytest.raises(expected) as caught:
        accept(spoiled, wanted=ByteRange(5, 15), size=100, etag='"a"')
    assert type(caught.value) is expected


@given(
    st.integers(100, 999),
    st.dictionaries(
        st.sampled_from(
            ["content-length", "content-range", "etag", "transfer-encoding", "content-encoding"]
        ),
        st.sampled_from(
            [
                "10",
                "11",
                "100",
                "bytes 5-14/100",
                "bytes 0-99/100",
                "bytes 5-14/*",
                '"a"',
                "identity",
                "gzip",
            ]
        ),
    ),
)
def test_only_the_wanted_bytes_are_ever_accepted(status: int, headers: dict[str, str]):
    """Whatever a server sends, acceptance means 206, the very range and no other object."""
    try:
        accept(
            Answer(status=status, headers=headers), wanted=ByteRange(5, 15), size=100, etag='"a"'
        )
    except (TryAgainError, ExpiredUrlError, ChangedObjectError, DownloadRefusedError):
        return
    assert status == 206
    assert headers["content-length"] == "10"
    assert headers["content-range"].startswith("bytes 5-14/")
    assert headers.get("etag", '"a"') == '"a"'
    assert "transfer-encoding" not in headers
