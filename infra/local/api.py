"""`python -m infra.local.api -s acme --as managers GET /v1/devices`: the API of `make up`.

Signs somebody in and makes one call with their token, as an app of the tenant would: prints the
answer, exits with 0 if it was a success. WHO is a group of `people.json` (`managers`), the e-mail
address of a person of the tenant's pool, or a machine of the tenant's file (`machine:mes`). The
password of a person who is not in `people.json` is read from CEDARFLEET_PASSWORD.

`--token` prints the token alone, for another client: `curl -H "Authorization: Bearer $TOKEN"`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
from botocore.exceptions import BotoCoreError, ClientError

from infra.local.engine import Engine, EngineError
from infra.local.loopback import NO_AUTHORITIES
from infra.local.people import Person, SignInError, SignInPage, machine_token, sign_in
from infra.local.people_file import PeopleFile
from infra.local.running_cloud import CloudNotRunningError, RunningCloud

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PASSWORD: Final = "CEDARFLEET_PASSWORD"  # noqa: S105 - the name of a variable
_MACHINE: Final = "machine:"
_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.2
_FINAL: Final = frozenset({"succeeded", "failed", "rejected", "expired", "interrupted", "canceled"})


class NobodyError(Exception):
    """Nobody can be signed in under that name; says what is missing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make one call; 0 if the API did what was asked for, else 1 and the reason."""
    given = _arguments(arguments)
    try:
        people = PeopleFile.read(given.state)
        bearer = token(
            given.stack, given.who, project=given.project, state=given.state, people=people
        )
        if given.token:
            print(bearer)  # noqa: T201 - asked for
            return 0
        return _call(given, people.api, bearer)
    except (NobodyError, SignInError, CloudNotRunningError, EngineError) as error:
        return _complain(str(error))
    except (BotoCoreError, ClientError, httpx.TransportError) as error:
        return _complain(f"cannot reach what `make up` runs: {error}")


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m infra.local.api",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-s", "--stack", required=True, help="a tenant of tenants/")
    parser.add_argument("--as", dest="who", required=True, metavar="WHO", help="who calls")
    parser.add_argument("--token", action="store_true", help="print the token, call nothing")
    parser.add_argument(
        "--wait", action="store_true", help="watch what was accepted (202) until it has ended"
    )
    parser.add_argument("method", nargs="?", default="", help="e.g. GET")
    parser.add_argument("path", nargs="?", default="", help="e.g. /v1/devices")
    parser.add_argument("body", nargs="?", help="JSON")
    parser.add_argument(
        "--project", type=Path, default=Path(), help="folder of Pulumi.yaml (default: here)"
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=Path(".cedarfleet"),
        help="folder of `make up` (default: .cedarfleet)",
    )
    given = parser.parse_intermixed_args(arguments)
    if not given.token and not given.path:
        parser.error("name METHOD and PATH, or --token")
    return given


def token(tenant: str, who: str, *, project: Path, state: Path, people: PeopleFile) -> str:
    """The token of whoever calls: an ID token of a person, an access token of a machine.

    Args:
        tenant: of the caller.
        who: a group, an e-mail address or a machine.
        project: folder of `Pulumi.yaml`.
        state: of `make up`.
        people: who can sign in.

    Raises:
        NobodyError: nobody can be signed in under that name.
        SignInError: the sign-in was refused.
        CloudNotRunningError: `make up` does not run.
        EngineError: the tenant's stack has no outputs.
    """
    if not people.api:
        raise CloudNotRunningError(f"no API is known in {state}: run `make up` first")
    with closing(RunningCloud(state / "cloud.json")) as cloud:
        engine = Engine(project.resolve(), state / "stacks", cloud, {}, {})
        outputs = engine.outputs(tenant).outputs
        if who.startswith(_MACHINE):
            client = _Machine.of(outputs, tenant, who.removeprefix(_MACHINE))
            return machine_token(
                at=cloud.endpoint_url, client_id=client.client_id, secret=client.secret
            )
        page = SignInPage.of(
            cloud.client("cognito-idp"),
            at=cloud.endpoint_url,
            pool_id=outputs["user_pool_id"],
            client_id=outputs["client_id"],
        )
    return sign_in(page, _person(people, tenant, who))


def _person(people: PeopleFile, tenant: str, who: str) -> Person:
    email = who if "@" in who else people.email(tenant, who)
    if email is None:
        groups = ", ".join(people.people.get(tenant, {})) or "nobody"
        raise NobodyError(
            f"`{who}`: people.json has of {tenant}: {groups}; name a person by e-mail address, "
            f"a machine as {_MACHINE}NAME"
        )
    password = people.passwords(tenant).get(email) or os.environ.get(PASSWORD)
    if not password:
        raise NobodyError(f"`{email}` is not in people.json: put the password into {PASSWORD}")
    return Person(email=email, groups=(), password=password)


@dataclass(frozen=True, kw_only=True)
class _Machine:
    client_id: str
    secret: str

    @classmethod
    def of(cls, outputs: Mapping[str, Any], tenant: str, name: str) -> _Machine:
        clients: dict[str, str] = outputs["machine_clients"]
        if name not in clients:
            raise NobodyError(f"{tenant} has no machine `{name}`; it has {', '.join(clients)}")
        return cls(client_id=clients[name], secret=outputs["machine_secrets"][name])


def _call(given: argparse.Namespace, api: str, bearer: str) -> int:
    headers = {"Authorization": f"Bearer {bearer}"}
    body = {} if given.body is None else {"content": given.body}
    if body:
        headers["Content-Type"] = "application/json"
    with httpx.Client(
        base_url=api, headers=headers, timeout=_SECONDS, trust_env=False, verify=NO_AUTHORITIES
    ) as http:
        answer = http.request(given.method, given.path, **body)
        if given.wait and answer.status_code == HTTPStatus.ACCEPTED:
            answer = _ended(http, answer.json()["url"])
    print(_shown(answer))  # noqa: T201 - a command line speaks on stdout
    if answer.is_success:
        return 0
    return _complain(f"{answer.status_code} {answer.reason_phrase}")


def _ended(http: httpx.Client, url: str) -> httpx.Response:
    """The command or download once it has ended, or as it is when the patience has."""
    until = time.monotonic() + _SECONDS
    while True:
        answer = http.get(url)
        if not answer.is_success or answer.json()["state"] in _FINAL or time.monotonic() > until:
            return answer
        time.sleep(_PAUSE_SECONDS)


def _shown(answer: httpx.Response) -> str:
    try:
        return json.dumps(answer.json(), indent=2, ensure_ascii=False)
    except ValueError:
        return answer.text


def _complain(words: str) -> int:
    print(words, file=sys.stderr)  # noqa: T201 - a command line complains on stderr
    return 1


if __name__ == "__main__":
    sys.exit(main())
