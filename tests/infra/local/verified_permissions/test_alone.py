"""``python -m infra.local.verified_permissions``: complaints, keys, no project imports."""

from __future__ import annotations

import ast
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from infra.local import verified_permissions
from infra.local.verified_permissions.issuers import Issuers, IssuersError

if TYPE_CHECKING:
    from .issuer import Issuer

PACKAGE = Path(verified_permissions.__file__).parent


def complaint(*arguments: str, **environment: str) -> str:
    """What the program says on standard error when it refuses to start, with exit code 2."""
    done = subprocess.run(
        [sys.executable, "-m", "infra.local.verified_permissions", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2, done
    return done.stderr


def test_a_taken_port_is_named():
    """With what to do about it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} of 127.0.0.1 cannot be used" in complaint("--port", str(port))


def test_half_an_access_key_and_a_bad_issuer_are_refused():
    """Neither is guessed at."""
    assert "or neither" in complaint(AWS_ACCESS_KEY_ID="AKIA", AWS_SECRET_ACCESS_KEY="")
    assert "ISSUER=FILE-OR-URL" in complaint("--jwks", "nonsense")
    assert "12 digits" in complaint("--account", "1234")


def test_program_prints_a_working_key_and_takes_tokens(pool: Issuer, tmp_path: Path):
    """Everything that is needed to call it is in its first line; it serves loopback only."""
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(pool.jwks()))
    environment = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local.verified_permissions", "--jwks", f"{pool.url}={keys}"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    started = json.loads(process.stdout.readline())
    try:
        assert started["url"].startswith("http://127.0.0.1:")
        client: Any = boto3.client(
            "verifiedpermissions",
            endpoint_url=started["url"],
            region_name="eu-central-1",
            aws_access_key_id=started["access_key_id"],
            aws_secret_access_key=started["secret_access_key"],
        )
        store = client.create_policy_store(validationSettings={"mode": "OFF"})["policyStoreId"]
        arn = (
            f"arn:aws:cognito-idp:eu-central-1:123456789012:userpool/{pool.url.rpartition('/')[2]}"
        )
        client.create_identity_source(
            policyStoreId=store,
            configuration={"cognitoUserPoolConfiguration": {"userPoolArn": arn}},
        )
        answer = client.is_authorized_with_token(
            policyStoreId=store,
            identityToken=pool.identity_token(),
            action={"actionType": "Action", "actionId": "x"},
            resource={"entityType": "R", "entityId": "r"},
        )
        assert answer["decision"] == "DENY"
        client.close()
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_keys_are_fetched_from_a_url_and_again_after_a_minute(pool: Issuer):
    """A key rotation is noticed; an unreachable place is an unknown issuer, not a crash."""
    served = [pool.jwks()]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = json.dumps(served[0]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's
            pass

    now = [0.0]
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        issuers = Issuers(
            {pool.url: f"http://127.0.0.1:{server.server_port}/"}, clock=lambda: now[0]
        )
        assert issuers.signing_keys(pool.url) == pool.jwks()
        served[0] = {"keys": []}
        assert issuers.signing_keys(pool.url) == pool.jwks()
        now[0] = 61.0
        assert issuers.signing_keys(pool.url) == {"keys": []}
        server.shutdown()
        thread.join()
    now[0] = 200.0
    for issuer in (pool.url, "https://stranger.example.com"):
        with pytest.raises(LookupError):
            issuers.signing_keys(issuer)
    with pytest.raises(IssuersError):
        Issuers.parse(["http://insecure=x"])


def test_the_package_imports_nothing_of_the_project():
    """Whoever copies the folder has everything but botocore, cedarpy, pyjwt and uvicorn."""
    allowed = {*sys.stdlib_module_names, "botocore", "cedarpy", "jwt", "uvicorn"}
    for file in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                assert {name.name.partition(".")[0] for name in node.names} <= allowed, file
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 1 or (node.module or "").partition(".")[0] in allowed, file
