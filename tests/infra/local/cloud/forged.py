"""A request for the account's tables, and signatures that were made with nobody's secret."""

from __future__ import annotations

TABLES = {
    "X-Amz-Target": "DynamoDB_20120810.ListTables",
    "Content-Type": "application/x-amz-json-1.0",
}
SCOPE = "20261122/eu-central-1/dynamodb/aws4_request"
ROOTLIKE = "AKIA0000000000000000"
SIGNED = f"AWS4-HMAC-SHA256 Credential={ROOTLIKE}/{SCOPE}, SignedHeaders=host, Signature={'0' * 64}"
QUERY = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20261122T110000Z&X-Amz-Expires=100000"
    f"&X-Amz-SignedHeaders=host&X-Amz-Signature={'0' * 64}&X-Amz-Credential="
)
