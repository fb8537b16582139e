"""The file of the signed-in session: of this user alone, whole or not at all."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cedarfleet.errors import SignInError
from cedarfleet.sign_in import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def session_file(environment: Mapping[str, str]) -> Path:
    """Where the session is kept: ``CEDARFLEET_SESSION``, or the user's folder of settings.

    Source: XDG Base Directory Specification, ``XDG_CONFIG_HOME``.
    """
    if named := environment.get("CEDARFLEET_SESSION"):
        return Path(named)
    home = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "cedarfleet" / "session.json"


def keep(session: Session, file: Path) -> None:
    """Write the session down, for this user alone; a machine's secret is no part of it.

    Raises:
        OSError: it cannot be written.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    document = asdict(session)
    del document["secret"]
    fresh = file.with_name(f"{file.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    # Never open to others, not even for a moment.
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(document, stream)
    fresh.replace(file)


def kept(file: Path) -> Session | None:
    """The session that was written down; ``None``: there is none.

    Raises:
        SignInError: others may read the file, or it is of another form.
    """
    try:
        with file.open(encoding="utf-8") as stream:
            # Fail closed: what others can read or write is no secret, and may not be ours.
            if os.name == "posix" and os.fstat(stream.fileno()).st_mode & _OTHERS:
                raise SignInError(f"{file} is open to others: `chmod 600` it, or sign in again")
            document: Any = json.load(stream)
        return Session(**document)
    except FileNotFoundError:
        return None
    except (TypeError, ValueError) as error:
        raise SignInError(f"{file} holds no session: sign in again") from error
