"""A page's cursor is AWS's own token, of one list of one tenant and of no other."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.adapters.aws.client.failures import AwsRefusalError
from service.adapters.aws.cursors import seal, unsealed
from service.errors import InvalidRequestError


def refused(code: str) -> AwsRefusalError:
    """AWS's refusal."""
    return AwsRefusalError("SearchIndex", code=code, status=400, members={})


@given(st.text(min_size=1), st.sampled_from(["devices:acme", "download:acme--1"]))
def test_a_cursor_gives_back_its_token(token: str, scope: str) -> None:
    """Whatever AWS's token is, and for no other list."""
    cursor = seal(scope, token)
    assert cursor is not None
    assert "=" not in cursor
    with unsealed(scope, cursor) as asked:
        assert asked == {"nextToken": token}
    with pytest.raises(InvalidRequestError), unsealed("devices:globex", cursor):
        pass


def test_the_first_page_needs_no_cursor_and_the_last_has_none() -> None:
    """Nothing becomes nothing, on either way."""
    assert seal("devices:acme", None) is None
    with unsealed("devices:acme", None) as asked:
        assert asked == {}


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "!!!!",
        "ä",
        *(
            base64.urlsafe_b64encode(text).decode().rstrip("=")
            for text in (b"devices:acme", b"devices:acme ", b" token", b"\xff\xff token")
        ),
    ],
)
def test_what_is_no_cursor_of_ours_is_refused(cursor: str) -> None:
    """The caller's fault is told as such, before AWS is asked."""
    with pytest.raises(InvalidRequestError, match="cursor"), unsealed("devices:acme", cursor):
        raise AssertionError("AWS would have been asked")


def test_a_token_that_aws_refuses_is_the_cursors_fault() -> None:
    """Only where there was one, and only for what AWS says of a wrong token."""
    cursor = seal("devices:acme", "token")
    with pytest.raises(InvalidRequestError), unsealed("devices:acme", cursor):
        raise refused("InvalidRequestException")
    with pytest.raises(AwsRefusalError), unsealed("devices:acme", cursor):
        raise refused("ThrottlingException")
    with pytest.raises(AwsRefusalError), unsealed("devices:acme", None):
        raise refused("InvalidRequestException")
