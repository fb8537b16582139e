"""`python -m infra.local.aws`: the AWS CLI's words, answered by an embedded cloud."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest

from infra.local.aws import UsageError, main, parameters
from infra.local.people_file import write_private
from infra.local.running_cloud import description

if TYPE_CHECKING:
    from pathlib import Path

    from infra.local.cloud import EmbeddedCloud

SESSION = botocore.session.get_session()


def parsed(service: str, operation: str, *options: str) -> dict[str, Any]:
    """The parameters of a call."""
    model = SESSION.get_service_model(service).operation_model(operation)
    return parameters(model, list(options))


@pytest.fixture
def state(embedded_cloud: EmbeddedCloud, tmp_path: Path) -> Path:
    """A folder that describes the cloud as `make up` does."""
    write_private(tmp_path / "cloud.json", description(embedded_cloud))
    return tmp_path


def test_options_become_the_types_of_the_model(tmp_path: Path) -> None:
    """Texts, numbers, switches, lists, structures, maps, JSON and the content of files."""
    assert parsed(
        "cognito-idp",
        "AdminCreateUser",
        *("--user-pool-id", "p", "--username", "a", "--force-alias-creation"),
        *("--user-attributes", "Name=email,Value=a@b.example", "Name=email_verified,Value=true"),
    ) == {
        "UserPoolId": "p",
        "Username": "a",
        "ForceAliasCreation": True,
        "UserAttributes": [
            {"Name": "email", "Value": "a@b.example"},
            {"Name": "email_verified", "Value": "true"},
        ],
    }
    pool, user = ("--user-pool-id", "p"), ("--username", "a")
    found = parsed("cognito-idp", "AdminSetUserPassword", *pool, *user, "--no-permanent")
    assert found["Permanent"] is False
    assert parsed("iot", "ListThings", "--max-results", "5") == {"maxResults": 5}
    pem = "-----BEGIN CERTIFICATE REQUEST-----\nMIHM\n"
    assert parsed("iot", "CreateCertificateFromCsr", "--certificate-signing-request", pem) == {
        "certificateSigningRequest": pem
    }
    things = '{"attributes": {"kind": "valve"}}'
    file = tmp_path / "attributes.json"
    file.write_text(things)
    for given in (things, f"file://{file}"):
        assert parsed("iot", "UpdateThing", "--attribute-payload", given) == {
            "attributePayload": json.loads(things)
        }
    assert parsed("s3", "PutObject", "--metadata", "sha256=a=b,x=", "--body", str(file)) == {
        "Metadata": {"sha256": "a=b", "x": ""},
        "Body": things.encode(),
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--thing-nam", "a"), "DescribeThing has no option `--thing-nam`; near are --thing-name"),
        (("a",), "`a` stands before any option"),
        (("--thing-name",), "--thing-name: needs a value"),
        (("--thing-name", "a", "b"), "--thing-name: takes one value, not 2"),
    ],
)
def test_a_wrong_option_is_told(options: tuple[str, ...], words: str) -> None:
    """The message says what would be right."""
    with pytest.raises(UsageError) as refused:
        parsed("iot", "DescribeThing", *options)
    assert str(refused.value) == words


def test_calls_reach_the_cloud_and_answers_are_cut(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What one call makes the next one finds; `--query` and `--output text` as in the CLI."""
    at = ("--state", str(state))
    assert main([*at, "iot", "create-thing", "--thing-name", "cli--one"]) == 0
    assert json.loads(capsys.readouterr().out)["thingName"] == "cli--one"
    listed = ("iot", "list-things", *at)
    query = ("--query", "things[?thingName=='cli--one'].thingName")
    assert main([*listed, *query, "--output", "text"]) == 0
    assert capsys.readouterr().out == "cli--one\n"
    assert main(["iot", "delete-thing", "--thing-name", "cli--one", *at]) == 0
    assert capsys.readouterr().out == ""
    assert main(["iot", "describe-thing", "--thing-name", "cli--one", *at]) == 1
    said = capsys.readouterr().err
    assert "(ResourceNotFoundException) when calling the DescribeThing operation" in said
    assert main(["iot", "describe-things", *at]) == 1
    assert "iot has no operation `describe-things`; near are " in capsys.readouterr().err
    assert main(["iot", "list-things", "--query", "[", *at]) == 1
    assert capsys.readouterr().err.startswith("--query [: ")
    assert main(["eye-o-tee", "list-things", *at]) == 1
    assert "eye-o-tee" in capsys.readouterr().err


def test_other_programs_find_the_cloud_by_its_variables(
    state: Path, embedded_cloud: EmbeddedCloud, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shell that evaluates what `environment` prints has what a child of ours gets."""
    assert main(["environment", "--state", str(state)]) == 0
    script = capsys.readouterr().out + "env"
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, env={}
    ).stdout
    found = dict(line.split("=", 1) for line in done.splitlines())
    assert found | embedded_cloud.environment() == found


def test_without_make_up_it_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No description of a cloud: one line, exit code 1."""
    assert main(["iot", "list-things", "--state", str(tmp_path)]) == 1
    assert "cloud.json does not exist: run `make up` first" in capsys.readouterr().err
