"""How a service words a refusal: its own error code, in the protocol that it speaks."""

from __future__ import annotations

import json
from typing import Final
from xml.sax.saxutils import escape

from infra.local.cloud.limits.shapes import service_model

Response = tuple[int, dict[str, str], bytes]

# The code for a call that is not of its shape, by botocore's name of the service.
MALFORMED: Final = {
    "acm": "ValidationException",
    "cloudwatch": "ValidationError",
    "cognito-idp": "InvalidParameterException",
    "dynamodb": "ValidationException",
    "ec2": "InvalidParameterValue",
    "ecr": "InvalidParameterException",
    "ecs": "InvalidParameterException",
    "elbv2": "ValidationError",
    "events": "ValidationException",
    "firehose": "InvalidArgumentException",
    "iam": "ValidationError",
    "iot": "InvalidRequestException",
    "iot-data": "InvalidRequestException",
    "iot-jobs-data": "InvalidRequestException",
    "kms": "ValidationException",
    "lambda": "ValidationException",
    "logs": "InvalidParameterException",
    "resourcegroupstaggingapi": "InvalidParameterException",
    "s3": "InvalidArgument",
    "scheduler": "ValidationException",
    "secretsmanager": "InvalidParameterException",
    "sns": "InvalidParameter",
    "sqs": "InvalidParameterValue",
    "ssm": "ValidationException",
    "sts": "ValidationError",
}
_SHORT: Final = 0x17  # the longest text whose length CBOR writes into its first byte


def malformed(service: str, problems: list[str]) -> Response:
    """The refusal of a call that is not of its shape."""
    errors = "error" if len(problems) == 1 else "errors"
    words = f"{len(problems)} validation {errors} detected: {'; '.join(problems)}"
    return refusal(service, MALFORMED[service], words)


def refusal(service: str, code: str, words: str, status: int = 400) -> Response:
    """An answer that boto3 raises as a ``ClientError`` with this code and these words."""
    protocol = service_model(service).metadata["protocol"]
    if protocol == "smithy-rpc-v2-cbor":
        body = b"\xa2" + b"".join(map(_cbor_text, ("__type", code, "message", words)))
        return status, {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}, body
    if protocol in {"json", "rest-json"}:
        document = {"__type": code, "message": words}
        headers = {"Content-Type": "application/json", "x-amzn-errortype": code}
        return status, headers, json.dumps(document).encode()
    error = f"<Code>{code}</Code><Message>{escape(words)}</Message>"
    text = {
        "ec2": f"<Response><Errors><Error>{error}</Error></Errors></Response>",
        "rest-xml": f"<Error>{error}</Error>",
    }.get(str(protocol), f"<ErrorResponse><Error>{error}</Error></ErrorResponse>")
    return status, {"Content-Type": "text/xml"}, text.encode()


def _cbor_text(text: str) -> bytes:
    data = text.encode()
    if len(data) <= _SHORT:
        return bytes([0x60 + len(data)]) + data
    return b"\x79" + len(data).to_bytes(2) + data
