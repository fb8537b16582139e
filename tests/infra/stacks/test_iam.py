"""IAM documents are made in one place, in the order of members that is deployed."""

from __future__ import annotations

import json
from pathlib import Path

from infra.stacks import iam

ROOT = Path(__file__).parents[3]
ACCOUNT = "123456789012"


def test_trust_is_bound_to_account_and_resource() -> None:
    """A service acts for one account; one resource is compared whole, several by their pattern."""
    for source, operator in (("arn:one", "ArnEquals"), ("arn:a--*", "ArnLike")):
        (statement,) = iam.trust("iot.amazonaws.com", ACCOUNT, source)["Statement"]
        assert statement["Condition"] == {
            "StringEquals": {"aws:SourceAccount": ACCOUNT},
            operator: {"aws:SourceArn": source},
        }


def test_members_keep_their_order() -> None:
    """A document is compared as text: another order would be an update of every role."""
    made = iam.document(
        iam.allow("One", "s3:GetObject", "*", when={"Bool": {}}), iam.allow(None, [], [])
    )
    assert json.dumps(made) == (
        '{"Version": "2012-10-17", "Statement": [{"Sid": "One", "Effect": "Allow", '
        '"Action": "s3:GetObject", "Resource": "*", "Condition": {"Bool": {}}}, '
        '{"Effect": "Allow", "Action": [], "Resource": []}]}'
    )


def test_no_other_file_writes_a_statement() -> None:
    """Every policy document of the program is made by this module."""
    program = ROOT / "infra" / "stacks"
    raw = [path.name for path in program.rglob("*.py") if '"Effect"' in path.read_text()]
    assert raw == ["iam.py"]
