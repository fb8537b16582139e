"""What tests assert of answers: that a call is refused, and that decisions are Cedar's own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import cedarpy


Json = Any  # what travels, before anybody has looked at it


def refused(call: Callable[..., object], **request: Json) -> Json:
    """The response of the error that the call must raise."""
    with pytest.raises(ClientError) as raised:
        call(**request)
    return raised.value.response


def fields(response: Json) -> list[tuple[str, str]]:
    """Path and message of every field at fault; the response must be a ValidationException."""
    assert response["Error"]["Code"] == "ValidationException", response
    return [(item["path"], item["message"]) for item in response["fieldList"]]


def refusal(call: Callable[..., object], **request: Json) -> tuple[str, str]:
    """Path and message of the first field of the ValidationException that the call must raise."""
    return fields(refused(call, **request))[0]


def assert_same(
    answer: dict[str, Any],
    by_hand: cedarpy.AuthzResult,
    statements: Sequence[str],
    ids: Sequence[str],
    *,
    forbid_errors: str,
) -> None:
    """Decision, deciding policies and errors are Cedar's, but for a forbid that failed.

    With ``deny`` an ALLOW is a DENY then.

    Args:
        answer: of the endpoint.
        by_hand: Cedar calls the n-th of ``statements`` ``policy<n>``.
        statements: each starts with its effect.
        ids: what the endpoint calls them.
        forbid_errors: the endpoint's option.
    """
    named = {f"policy{place}": policy_id for place, policy_id in enumerate(ids)}
    failing = [re.search(r"`policy(\d+)`", text) for text in by_hand.diagnostics.errors]
    failed = {int(match[1]) for match in failing if match}
    errors = sorted(
        re.sub(r"`(policy\d+)`", lambda m: f"`{named[m[1]]}`", text)
        for text in by_hand.diagnostics.errors
    )
    assert sorted(item["errorDescription"] for item in answer["errors"]) == errors
    broken = {ids[place] for place in failed if statements[place].startswith("forbid")}
    determining = {item["policyId"] for item in answer["determiningPolicies"]}
    if by_hand.allowed and broken and forbid_errors == "deny":
        assert (answer["decision"], determining) == ("DENY", broken)
    else:
        assert answer["decision"] == ("ALLOW" if by_hand.allowed else "DENY")
        assert determining == {named[reason] for reason in by_hand.diagnostics.reasons}
