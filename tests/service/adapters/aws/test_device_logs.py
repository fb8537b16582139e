"""A form of S3 as another signer makes it, and what a list of logs asks for."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from botocore.auth import S3SigV4PostAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cedarfleet_device import wire

from service.adapters.aws.device_logs import S3DeviceLogs
from tests.service.adapters.aws.every_call import LOG, answer

if TYPE_CHECKING:
    from service.domain.tenants import Tenant
    from tests.service.adapters.aws.answered_line import AnsweredDoor


def test_a_form_is_signed_as_botocore_signs_it(acme: Tenant, door: AnsweredDoor) -> None:
    """Every field is in the policy, beside the bucket and the bounds of the file."""
    door.answer = lambda call: answer(call, acme)
    logs = S3DeviceLogs(aws=door)
    form = asyncio.run(logs.sign_upload(acme, LOG, seconds=60))
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    signed = dict(form.fields)
    given = {name: signed[name] for name in ("policy", "x-amz-signature")}
    known = [one for one in policy["conditions"] if isinstance(one, dict)]
    named = {name: value for one in known for name, value in one.items()}
    assert named == {"bucket": acme.bucket} | {
        name: value for name, value in signed.items() if name not in given
    }
    assert ["content-length-range", 1, wire.MAX_LOGS_BYTES] in policy["conditions"]

    held = asyncio.run(door.credentials.get(acme))
    assert held.token is not None
    assert signed["x-amz-security-token"] == held.token
    other = S3SigV4PostAuth(
        Credentials(held.access_key, held.secret_key, held.token), "s3", "eu-central-1"
    )
    request = AWSRequest(method="POST", url=form.url)
    request.context["timestamp"] = signed["x-amz-date"]
    assert other.signature(given["policy"], request) == given["x-amz-signature"]
    assert policy["expiration"].endswith(".000Z")


def test_a_link_reads_one_log_as_a_file(acme: Tenant, door: AnsweredDoor) -> None:
    """No browser shows what a device wrote."""
    door.answer = lambda call: answer(call, acme)
    page = asyncio.run(
        S3DeviceLogs(aws=door).page(acme, "press-07", limit=10, cursor=None, url_seconds=60)
    )
    parts = urlsplit(page.logs[0].url)
    asked = parse_qs(parts.query)
    assert parts.path.endswith(LOG)
    assert asked["X-Amz-Expires"] == ["60"]
    assert asked["response-content-disposition"][0].startswith("attachment; ")
