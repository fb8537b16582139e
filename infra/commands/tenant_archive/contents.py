"""What of a tenant goes into its archive, part by part, and what does not, with the reason."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from infra import names
from infra.commands import moves, shared_rows
from infra.commands.account import Belongings
from infra.commands.device_rows import DeviceTable
from infra.commands.tenant_archive.archive import ArchiveError, chunks_of
from infra.commands.tenant_archive.audit_lines import AuditLines, linked_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.commands.account import Account
    from infra.commands.tenant_archive.archive import Workshop

NOT_TAKEN: Final = {
    "people": "keys of pseudonyms: whoever has the archive must not open what is sealed in it",
    "machines": "digests of secrets, and client ids of this pool: machines are made anew",
    "machine-clients": "the same",
    "webhooks": "their secrets are sealed by this platform's key: webhooks are made anew",
    "webhook-deliveries": "the same",
    "revocations": "of tokens of this pool, none of which the other platform takes",
    "replay": "answers to repeated requests of the last day",
    "budget": "what is left of this minute's budget",
    "devices": "stand in devices.jsonl; one-time codes are no good elsewhere",
}
"""Noun of a partition (`<tenant>--<noun>#…`) -> why its rows stay."""
PASSWORDS: Final = "no passwords, no second factors, no subject ids that another pool would take"
_OWN_PARTS: Final = {"groups": "groups.jsonl", "command-types": "command-types.jsonl"}
_GRANTS: Final = "grants"
_CHAIN: Final = frozenset({"audit-chain", "audit-signed", "audit-noted"})
_USAGE: Final = "usage"
"""Of the audit table, and no part of the trail."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """One tenant, where it stands.

    Attributes:
        account: of the platform.
        tenant: its id.
        pool_id: of its people.
        store_id: of its policies.
        bucket: of its files.
    """

    account: Account
    tenant: str
    pool_id: str
    store_id: str
    bucket: str

    def write(self, into: Workshop) -> None:
        """Write every part that is not whole yet, then the contents of files.

        Raises:
            botocore.exceptions.ClientError: AWS refused; the parts until then are whole.
            ArchiveError: a file is not what its metadata vouches for.
        """
        into.put("audit.jsonl", AuditLines(self._dynamodb, self.tenant).lines())
        into.put("audit-open.jsonl", map(_text, self.open_entries(into.folder / "audit.jsonl")))
        into.put("usage.jsonl", map(_text, self.usage()))
        into.put("devices.jsonl", moves.exported(self._registry()))
        into.put("people.jsonl", map(_text, self.people()))
        into.put("policies.jsonl", map(_text, self.policies()))
        for noun, name in _OWN_PARTS.items():
            into.put(name, map(_text, self._rows_of(names.DEVICES_TABLE, noun)))
        into.put(
            "grants.jsonl",
            map(_text, self._rows_of(names.COMMANDS_TABLE, _GRANTS)),
            pool_id=self.pool_id,
        )
        into.put("history.jsonl", map(_text, self.history()), not_taken=NOT_TAKEN)
        self._files(into)

    @property
    def _dynamodb(self) -> Any:
        return self.account.client("dynamodb")

    def _registry(self) -> moves.Registry:
        table = DeviceTable(client=self._dynamodb, name=names.DEVICES_TABLE, tenant=self.tenant)
        return moves.Registry(
            iot=self.account.client("iot"), data=self.account.client("iot-data"), table=table
        )

    def people(self) -> Iterator[dict[str, Any]]:
        """Those of the pool, with their groups; what cannot leave a pool is in ``PASSWORDS``."""
        asked = ("cognito-idp", "list_users", "Users")
        for user in self.account.pages(*asked, UserPoolId=self.pool_id):
            listed = ("cognito-idp", "admin_list_groups_for_user", "Groups")
            groups = self.account.pages(*listed, UserPoolId=self.pool_id, Username=user["Username"])
            told = {one["Name"]: one["Value"] for one in user.get("Attributes", ())}
            yield {
                "username": user["Username"],
                "subject": told.pop("sub", ""),
                "email": told.get("email", ""),
                "enabled": user["Enabled"],
                "status": user["UserStatus"],
                "groups": sorted(group["GroupName"] for group in groups),
                "attributes": told,
            }

    def policies(self) -> Iterator[dict[str, Any]]:
        """Schema, templates and policies as the store holds them, those made by hand too."""
        client, store = self.account.client("verifiedpermissions"), {"policyStoreId": self.store_id}
        yield {"schema": json.loads(client.get_schema(**store)["schema"])}
        asked = ("verifiedpermissions", "list_policy_templates", "policyTemplates")
        for template in self.account.pages(*asked, **store):
            identifier = template["policyTemplateId"]
            held = client.get_policy_template(policyTemplateId=identifier, **store)
            yield {"template": identifier, "statement": held["statement"]}
        asked = ("verifiedpermissions", "list_policies", "policies")
        for policy in self.account.pages(*asked, **store):
            held = client.get_policy(policyId=policy["policyId"], **store)
            yield {"policy": policy["policyId"], "definition": held["definition"]}

    def history(self) -> Iterator[dict[str, Any]]:
        """Rows of commands, downloads, campaigns and what else is listed nowhere above.

        A noun that a later release makes is taken: what is not written down here is the tenant's.
        """
        own = Belongings(tenant=self.tenant)
        elsewhere = {*_OWN_PARTS, _GRANTS, *NOT_TAKEN}
        for table in (names.DEVICES_TABLE, names.COMMANDS_TABLE):
            for row in shared_rows.whole_rows(self.account, table, own):
                noun = self._noun(table, row)
                if noun not in elsewhere:
                    yield {"table": table, "row": row}

    def open_entries(self, chain: Path) -> Iterator[dict[str, Any]]:
        """Rows of the trail that no link of the exported chain has: its open tail, and of before.

        Args:
            chain: the part that was written of it.
        """
        linked = linked_in(chain)
        for row in shared_rows.whole_rows(
            self.account, names.AUDIT_TABLE, Belongings(tenant=self.tenant)
        ):
            noun = self._noun(names.AUDIT_TABLE, row)
            elsewhere = {*_CHAIN, _USAGE, *NOT_TAKEN}
            if noun not in elsewhere and row["sk"]["S"] not in linked:
                yield row

    def usage(self) -> Iterator[dict[str, Any]]:
        """The tenant's days as they were counted: for its books, and taken into no other cell."""
        for row in self._rows_of(names.AUDIT_TABLE, _USAGE):
            if _USAGE in row:  # the row beside them says up to which day they are told
                yield row

    def _noun(self, table: str, row: dict[str, Any]) -> str:
        partition: str = row["thing" if table == names.COMMANDS_TABLE else "partition"]["S"]
        return partition.removeprefix(names.thing_prefix(self.tenant)).partition("#")[0]

    def _rows_of(self, table: str, noun: str) -> Iterator[dict[str, Any]]:
        key = "thing" if table == names.COMMANDS_TABLE else "partition"
        yield from self.account.pages(
            "dynamodb",
            "query",
            "Items",
            TableName=table,
            KeyConditionExpression="#own = :own",
            ExpressionAttributeNames={"#own": key},
            ExpressionAttributeValues={":own": {"S": f"{names.thing_prefix(self.tenant)}{noun}"}},
            ConsistentRead=True,
        )

    def _files(self, into: Workshop) -> None:
        """Every version of every object; what was fetched before a kill is not fetched again."""
        if "files.jsonl" in into.parts:
            return
        fetched = into.folder / "fetched.jsonl"  # no part: lines as they come, the last may be torn
        known = _known(fetched)
        fetched.touch(mode=0o600)
        with fetched.open("a", encoding="utf-8") as progress:
            progress.write("\n")  # ends a torn line
            for version in self._versions():
                key = (version["Key"], version["VersionId"])
                if key not in known:
                    known[key] = self._fetched(into, version)
                    progress.write(_text(known[key]) + "\n")
                    progress.flush()
        into.put("files.jsonl", map(_text, known.values()))
        fetched.unlink()

    def _versions(self) -> Iterator[dict[str, Any]]:
        yield from self.account.pages("s3", "list_object_versions", "Versions", Bucket=self.bucket)

    def _fetched(self, into: Workshop, version: dict[str, Any]) -> dict[str, Any]:
        got = self.account.client("s3").get_object(
            Bucket=self.bucket, Key=version["Key"], VersionId=version["VersionId"]
        )
        digest, size = into.keep(chunks_of(got["Body"]))
        said = got.get("Metadata", {}).get("sha256")
        if said is not None and said != digest:
            raise ArchiveError(
                f"`{version['Key']}` version {version['VersionId']} has SHA-256 {digest}, and its "
                f"metadata says {said}"
            )
        return {
            "key": version["Key"],
            "version": version["VersionId"],
            "latest": version["IsLatest"],
            "size": size,
            "sha256": digest,
            "modified": version["LastModified"].isoformat(),
            "content_type": got.get("ContentType", ""),
            "metadata": got.get("Metadata", {}),
        }


def _known(file: Any) -> dict[tuple[str, str], dict[str, Any]]:
    known: dict[tuple[str, str], dict[str, Any]] = {}
    if not file.exists():
        return known
    for text in file.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue  # torn, or empty
        if (file.parent / "files" / line["sha256"]).exists():
            known[line["key"], line["version"]] = line
    return known


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, ensure_ascii=False, default=_plain)


def _plain(value: object) -> Any:
    """Binary columns of DynamoDB, and moments of an answer."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)
