"""`python -m infra tenants export|import`: a tenant's data into one file, and out of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError

from infra.commands import aws_failure, moves, selection
from infra.commands.account import Account
from infra.commands.suspension import SuspensionError
from infra.commands.tenant_archive.archive import Archive, ArchiveError, Workshop, sha256_of
from infra.commands.tenant_archive.arrival import Arrival
from infra.commands.tenant_archive.audit_lines import linked_in
from infra.commands.tenant_archive.contents import PASSWORDS, Contents
from infra.stacks.config import stack_file
from infra.stacks.config.tenants import configured, region

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

_VERIFIES: Final = "verify-audit"


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser of `export` its arguments."""
    selection.add_arguments(parser, where=selection.BY_ENVIRONMENT)
    parser.add_argument(
        "--to",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder that gets <tenant>.tar; again, to go on with a run that was killed",
    )


def add_import_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser of `import` its arguments."""
    parser.add_argument(
        "tenant", help="tenant id; AWS or the embedded cloud as AWS_ENDPOINT_URL says"
    )
    parser.add_argument("file", type=Path, help="that `export` made, of another platform")


def bring(options: argparse.Namespace, *, root: Path) -> int:
    """Bring an archive into a tenant that is stamped here; 1 with the reason on stderr if not.

    Raises:
        ConfigError: the tenant has no file.
    """
    tenant, file = str(options.tenant), options.file.resolve()
    configured(root, tenant)
    try:
        session = boto3.Session(region_name=os.environ.get("AWS_REGION") or region(root, tenant))
        account = Account.of(session)
        with tempfile.TemporaryDirectory(prefix="cedarfleet-import-") as folder:
            Arrival(
                account=account,
                tenant=account.tenant(tenant),
                archive=Archive.opened(file, Path(folder)),
                ids=file.with_name(f"{file.stem}-ids.json"),
                by=account.caller,
                say=_say,
            ).run()
    except (
        ArchiveError,
        S3UploadFailedError,
        SuspensionError,
        BotoCoreError,
        ClientError,
        moves.ExportError,
    ) as error:
        sys.stderr.write(
            f"import {tenant}: {aws_failure.words(error)}; it may be repeated, and goes on\n"
        )
        return 1
    return 0


def export(options: argparse.Namespace, *, root: Path) -> int:
    """Write each tenant's archive, one after the other; 1 with the reason on stderr if one is not.

    Raises:
        ConfigError: no tenant is named, or one has no file.
    """
    wanted, code = selection.selected(options, root), 0
    session = boto3.Session(region_name=os.environ.get("AWS_REGION") or region(root, wanted[0]))
    account = Account.of(session)
    for tenant in wanted:
        try:
            exported(tenant, account, options.to.resolve(), root=root, say=_say)
        # The others are written all the same.
        except (ArchiveError, SuspensionError, BotoCoreError, ClientError) as error:
            why = aws_failure.words(error)
            sys.stderr.write(f"export {tenant}: {why}; it may be repeated, and goes on\n")
            code = 1
    return code


def exported(
    tenant: str, account: Account, to: Path, *, root: Path, say: Callable[[str], None]
) -> str:
    """Write a tenant's archive into a folder, or go on with it; its SHA-256.

    Raises:
        ArchiveError: the trail does not verify, or a file is not what its metadata says.
        SuspensionError: the registry has no such tenant.
        botocore.exceptions.ClientError: AWS refused; what is whole is not read again.
    """
    file = to / f"{tenant}.tar"
    if file.exists():
        say(f"{file} is there already, SHA-256 {sha256_of(file)}")
        return sha256_of(file)
    row = account.tenant(tenant)
    head: dict[str, Any] = {
        "tenant": tenant,
        "began_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": account.caller,
        "status": row.row["status"]["S"],
        "pool_id": row.pool_id,
        "cannot_move": PASSWORDS,
    }
    shop = Workshop.begun(to / f"{tenant}.parts", head)
    contents = Contents(
        account=account,
        tenant=tenant,
        pool_id=row.pool_id,
        store_id=row.store_id,
        bucket=row.row["bucket"]["S"],
    )
    contents.write(shop)
    _configuration(shop, tenant, root)
    say(_verified(shop))
    for name, said in shop.parts.items():
        say(f"{name}: {said['bytes']} bytes")
    digest = shop.packed(file)
    shutil.rmtree(shop.folder)
    say(f"{file}: SHA-256 {digest}")
    return digest


def _configuration(shop: Workshop, tenant: str, root: Path) -> None:
    """The tenant's file, and the policies that are its own."""
    text = (root / stack_file.shown(tenant)).read_text(encoding="utf-8")
    shop.put("stack.yaml", text.splitlines())
    folder = configured(root, tenant).policies_folder(root)
    for policy in sorted(folder.glob("*.cedar")) if folder else ():
        shop.put(f"policies-{policy.name}", policy.read_text(encoding="utf-8").splitlines())


def _verified(shop: Workshop) -> str:
    """What `verify-audit` says of the trail; a chain without a link proves nothing, and is said.

    Raises:
        ArchiveError: something of the trail is missing or was changed.
    """
    trail = shop.folder / "audit.jsonl"
    if not linked_in(trail):
        return "audit.jsonl: the chain has no link yet"
    done = subprocess.run(  # noqa: S603 - our own program, no shell
        [sys.executable, "-m", "service", _VERIFIES, str(trail)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        # Read anew when it is repeated: a chain is signed a minute after its first link.
        for part in ("audit.jsonl", "audit-open.jsonl"):
            del shop.parts[part]
        shop.write_manifest()
        raise ArchiveError(f"the audit trail does not verify: {done.stdout}{done.stderr}")
    return f"audit.jsonl: {done.stdout.splitlines()[0]}"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
