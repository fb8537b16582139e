"""``python -m infra.local.verified_permissions``: the endpoint alone, on the loopback interface.

The access key is taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; without them a random one
is made and printed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import sys
from pathlib import Path

import uvicorn

from .app import VerifiedPermissions
from .issuers import Issuers, IssuersError
from .journal import JournalError
from .sigv4 import AccessKey


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; the exit code."""
    options = _options(arguments)
    key = _access_key(options.account)
    if key is None:
        return _complain("set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither")
    try:
        issuers = Issuers.parse(options.jwks)
        app = VerifiedPermissions(
            state_dir=options.state_dir,
            authenticate=key.authenticate,
            signing_keys=issuers.signing_keys,
            account_id=options.account,
            forbid_errors=options.forbid_errors,
            request_validation=options.request_validation,
        )
    except (IssuersError, JournalError) as error:
        return _complain(str(error))
    try:
        listener = _listen(options.port)
    except OSError as error:
        app.close()
        return _complain(
            f"port {options.port} of 127.0.0.1 cannot be used ({error.strerror}); "
            "choose another --port"
        )
    port = listener.getsockname()[1]
    started = {
        "event": "verified_permissions.listening",
        "url": f"http://127.0.0.1:{port}",
        "account": options.account,
    }
    if "AWS_ACCESS_KEY_ID" not in os.environ:
        # Without this line nobody could sign a request; it is good for this process only.
        started |= {"access_key_id": key.access_key_id, "secret_access_key": key.secret_access_key}
    print(json.dumps(started), flush=True)  # noqa: T201 - the address is this program's output
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, ws="none"))
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass  # uvicorn has stopped in order and passes the signal on
    finally:
        listener.close()
        app.close()
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m infra.local.verified_permissions", description=__doc__
    )
    parser.add_argument(
        "--port", type=int, default=0, help="port of 127.0.0.1; 0 takes a free one (default)"
    )
    parser.add_argument(
        "--state-dir", type=Path, help="folder to keep the state in; without it nothing is kept"
    )
    parser.add_argument(
        "--account", type=_account, default="123456789012", help="account id of the policy stores"
    )
    parser.add_argument(
        "--jwks",
        action="append",
        default=[],
        metavar="ISSUER=FILE-OR-URL",
        help="where an issuer's JWK set is, e.g. "
        "https://cognito-idp.eu-central-1.amazonaws.com/<pool>=keys.json",
    )
    parser.add_argument(
        "--forbid-errors", choices=["deny", "skip"], default="deny", help="see README.md"
    )
    parser.add_argument(
        "--request-validation", choices=["store", "lenient"], default="store", help="see README.md"
    )
    return parser.parse_args(arguments)


def _account(text: str) -> str:
    if re.fullmatch(r"[0-9]{12}", text) is None:
        raise argparse.ArgumentTypeError(f"`{text}` is no account id: 12 digits")
    return text


def _access_key(account: str) -> AccessKey | None:
    key_id, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if key_id and secret:
        return AccessKey(access_key_id=key_id, secret_access_key=secret, account_id=account)
    return None if key_id or secret else AccessKey(account_id=account)


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _complain(words: str) -> int:
    print(f"error: {words}", file=sys.stderr)  # noqa: T201 - how a program complains
    return 2


if __name__ == "__main__":
    sys.exit(main())
