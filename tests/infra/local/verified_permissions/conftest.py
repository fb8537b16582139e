"""The endpoint behind a real socket with a boto3 client, or called in process; stores."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import uvicorn
from botocore.config import Config

from infra.local.verified_permissions import Caller, VerifiedPermissions
from infra.local.verified_permissions.sigv4 import AccessKey
from tests.infra.local.verified_permissions.issuer import Issuer
from tests.infra.local.verified_permissions.shop import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from types_boto3_verifiedpermissions.client import VerifiedPermissionsClient

Json = Any  # what travels, before anybody has looked at it

ACCOUNT = "123456789012"
REGION = "eu-central-1"
POOL = f"{REGION}_AbCdEfGhI"


@dataclass
class Endpoint:
    """A running endpoint."""

    url: str
    key: AccessKey
    app: VerifiedPermissions
    pool: Issuer
    oidc: Issuer

    def client(
        self, *, key: AccessKey | None = None, region: str = REGION, check: bool = True
    ) -> VerifiedPermissionsClient:
        """A boto3 client; with ``check=False`` it sends what its model forbids."""
        signer = key or self.key
        return boto3.client(
            "verifiedpermissions",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=signer.access_key_id,
            aws_secret_access_key=signer.secret_access_key,
            config=Config(
                parameter_validation=check, retries={"max_attempts": 1, "mode": "standard"}
            ),
        )


@contextmanager
def serving(app: VerifiedPermissions) -> Generator[str]:
    """The app on a free loopback port; the URL."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)  # so that a client may connect before the server runs
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture(scope="session")
def pool() -> Issuer:
    """The tenant's user pool."""
    return Issuer(f"https://cognito-idp.{REGION}.amazonaws.com/{POOL}")


@pytest.fixture(scope="session")
def oidc() -> Issuer:
    """An OpenID Connect provider."""
    return Issuer("https://login.example.com")


@pytest.fixture(scope="module")
def endpoint(pool: Issuer, oidc: Issuer) -> Iterator[Endpoint]:
    """One endpoint without a state folder for a module; each test makes its own stores."""
    key = AccessKey(account_id=ACCOUNT)
    keys = {issuer.url: issuer.jwks() for issuer in (pool, oidc)}
    app = VerifiedPermissions(
        state_dir=None,
        authenticate=key.authenticate,
        signing_keys=keys.__getitem__,
        account_id=ACCOUNT,
    )
    with serving(app) as url:
        yield Endpoint(url, key, app, pool, oidc)
    app.close()


@pytest.fixture(scope="module")
def client(endpoint: Endpoint) -> Iterator[VerifiedPermissionsClient]:
    """A client of the account."""
    client = endpoint.client()
    yield client
    client.close()


@pytest.fixture
def empty_store(client: VerifiedPermissionsClient) -> str:
    """A STRICT store without a schema."""
    return client.create_policy_store(validationSettings={"mode": "STRICT"})["policyStoreId"]


@pytest.fixture
def store(client: VerifiedPermissionsClient, empty_store: str) -> str:
    """A STRICT store with the schema of a shop."""
    client.put_schema(policyStoreId=empty_store, definition={"cedarJson": json.dumps(SCHEMA)})
    return empty_store


@pytest.fixture
def open_store(client: VerifiedPermissionsClient) -> str:
    """A store with validation OFF and no schema."""
    return client.create_policy_store(validationSettings={"mode": "OFF"})["policyStoreId"]


@pytest.fixture
def trusting_store(client: VerifiedPermissionsClient, store: str) -> str:
    """The shop's store with the user pool as its identity source."""
    client.create_identity_source(
        policyStoreId=store,
        configuration={
            "cognitoUserPoolConfiguration": {
                "userPoolArn": f"arn:aws:cognito-idp:{REGION}:{ACCOUNT}:userpool/{POOL}",
                "clientIds": ["web"],
                "groupConfiguration": {"groupEntityType": "Shop::Group"},
            }
        },
        principalEntityType="Shop::User",
    )
    return store


@pytest.fixture
def schema() -> dict[str, Any]:
    """The shop's schema."""
    return json.loads(json.dumps(SCHEMA))


class Ask:
    """Short ways to ask the endpoint in process, for tests that ask thousands of times."""

    caller = Caller(account_id=ACCOUNT, region=REGION)

    def __init__(
        self,
        state_dir: Path | None = None,
        *,
        keys: dict[str, dict[str, Any]] | None = None,
        **options: Json,
    ) -> None:
        self.app = VerifiedPermissions(
            state_dir=state_dir,
            authenticate=lambda *_: self.caller,
            account_id=ACCOUNT,
            signing_keys=(keys or {}).__getitem__,
            **options,
        )

    def __call__(self, operation: str, **request: Json) -> dict[str, Any]:
        """The answer to a request, which must be a good one."""
        headers = {
            "x-amz-target": f"VerifiedPermissions.{operation}",
            "authorization": f"Credential=AKIA/20261122/{REGION}/verifiedpermissions/aws4_request",
        }
        status, answer = self.app.answer(headers, json.dumps(request).encode())
        assert status == 200, answer
        return answer

    def store(
        self, *statements: str, mode: str = "OFF", schema: dict[str, Any] | None = None
    ) -> tuple[str, list[str]]:
        """A new store with these static policies; its id and theirs."""
        store_id = self("CreatePolicyStore", validationSettings={"mode": mode})["policyStoreId"]
        if schema is not None:
            self("PutSchema", policyStoreId=store_id, definition={"cedarJson": json.dumps(schema)})
        made = [
            self(
                "CreatePolicy", policyStoreId=store_id, definition={"static": {"statement": text}}
            )["policyId"]
            for text in statements
        ]
        return store_id, made


@pytest.fixture(scope="session")
def ask() -> type[Ask]:
    """The class, so that a test chooses the options."""
    return Ask
