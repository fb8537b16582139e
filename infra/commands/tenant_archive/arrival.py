"""Brings a tenant's archive into a platform on which the tenant is stamped, and has nothing yet.

People are invited anew and get new ids, so grants are written anew for whom has the same address,
and what old ids became is kept. Every step may be repeated: what is there already stays.

The tenant has had the file in its hands, and its digests are signed by nobody; it is brought in
with the operator's rights, in tables that all tenants share. So each row is held to the tenant's
own partitions before anything is written.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from infra import names
from infra.commands import moves
from infra.commands.device_rows import DeviceTable
from infra.commands.tenant_archive.archive import ArchiveError, private
from service.cedar.granted import fingerprint, granted_statement
from service.cedar.values import EntityUid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from infra.commands.account import Account
    from infra.commands.suspension import Tenant
    from infra.commands.tenant_archive.archive import Archive

_CONDITION_FAILED: Final = "ConditionalCheckFailedException"
_FILE_NOUNS: Final = ("files", "file")
_TAKEN_NOUNS: Final = (*_FILE_NOUNS, "materials", "versions")
"""Of the history: files, what bills of materials name, and which versions devices run."""
_WISHES: Final = "wanted"
_MOVED: Final = "the tenant moved here from another platform: set it again to go on"
_KEPT_ATTRIBUTES: Final = frozenset({"email", "given_name", "family_name", "locale", "zoneinfo"})
_LIVING: Final = frozenset({"active", "pending"})
_ROWS: Final = {
    "groups.jsonl": (names.DEVICES_TABLE, "partition", "groups"),
    "command-types.jsonl": (names.DEVICES_TABLE, "partition", "command-types"),
    "grants.jsonl": (names.COMMANDS_TABLE, "thing", "grants"),
}
"""Part whose lines are rows -> table, its key, the noun of the one partition (`<tenant>--…`)."""
_PEOPLE_OF_A_ROW: Final = 2_000
"""Of some 90 bytes each; an item has 400 KB (source: DynamoDB developer guide, "Service, account,
and table quotas in Amazon DynamoDB")."""
OPERATORS_PARTITION: Final = "#imported"


@dataclass(kw_only=True)
class Moved:
    """What old ids became; kept in a file, so that an import that was killed goes on.

    Attributes:
        people: subject id of the old pool -> of the new one.
        versions: `<key>#<version of the old bucket>` -> version and ETag in the new one.
    """

    people: dict[str, str] = field(default_factory=dict[str, str])
    versions: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    @classmethod
    def read(cls, file: Path) -> Moved:
        """What an import before has come to."""
        return cls(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else cls()

    def write(self, file: Path) -> None:
        """Replace the file as a whole."""
        new = file.with_name(f".{file.name}")
        text = json.dumps({"people": self.people, "versions": self.versions}, indent=1)
        with private(new) as opened:
            opened.write(f"{text}\n".encode())
        new.replace(file)


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """One import.

    Attributes:
        account: of the new platform.
        tenant: its row of the registry there.
        archive: what was exported.
        ids: file of what old ids became.
        by: the operator.
        say: told of each step.
    """

    account: Account
    tenant: Tenant
    archive: Archive
    ids: Path
    by: str
    say: Callable[[str], None]

    def run(self) -> None:
        """Bring everything in.

        Raises:
            ArchiveError: it is another tenant's, has a row of another tenant's, or was made on this
                platform; nothing is done.
            botocore.exceptions.ClientError: AWS refused; what was said until then is done.
        """
        said = self.archive.manifest
        if said["tenant"] != self.tenant.id:
            raise ArchiveError(f"the archive is of `{said['tenant']}`, not of `{self.tenant.id}`")
        if said["pool_id"] == self.tenant.pool_id:
            raise ArchiveError("the archive was made here: nothing moves")
        self._check_rows()
        moved = Moved.read(self.ids)
        self._people(moved)
        for part in ("groups.jsonl", "command-types.jsonl"):
            rows, table = list(self.archive.lines(part)), _ROWS[part][0]
            new = sum(self._put(table, row) for row in rows)
            self.say(f"{part}: {new} of {len(rows)} are new")
        self._devices()
        self._files(moved)
        self._wishes(moved)
        self._grants(moved)
        self._note(moved)

    def _check_rows(self) -> None:
        """Fail closed: one row that is not in its partition of the tenant, and nothing comes in.

        Rows of the history are picked by their partition (``_rows_of``), devices by their name
        (``moves.imported``).
        """
        for part, (_, key, noun) in _ROWS.items():
            own = {"S": f"{names.thing_prefix(self.tenant.id)}{noun}"}
            for number, row in enumerate(self.archive.lines(part), start=1):
                if row.get(key) != own:
                    raise ArchiveError(
                        f"{part}, line {number}: is no row of `{own['S']}` but of {row.get(key)}"
                    )

    def _people(self, moved: Moved) -> None:
        cognito, pool = self.account.client("cognito-idp"), self.tenant.pool_id
        listed = ("cognito-idp", "list_groups", "Groups")
        groups = {group["GroupName"] for group in self.account.pages(*listed, UserPoolId=pool)}
        invited = 0
        for person in self.archive.lines("people.jsonl"):
            name = person["email"]
            if not name or person["status"] == "EXTERNAL_PROVIDER":
                # A profile of a provider's is made by its first sign-in alone.
                own = ", ".join(group for group in person["groups"] if group in groups)
                self.say(f"{person['username']}: comes by itself, at its first sign-in ({own})")
                continue
            attributes = {
                key: text
                for key, text in person["attributes"].items()
                if key in _KEPT_ATTRIBUTES or key.startswith("custom:")
            } | {"email_verified": "true"}
            try:
                cognito.admin_create_user(
                    UserPoolId=pool,
                    Username=name,
                    UserAttributes=[{"Name": key, "Value": v} for key, v in attributes.items()],
                    DesiredDeliveryMediums=["EMAIL"],
                )
                invited += 1
            except cognito.exceptions.UsernameExistsException:
                pass
            for group in person["groups"]:
                if group in groups:
                    cognito.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName=group)
                else:
                    self.say(f"{name}: there is no group `{group}` here")
            if not person["enabled"]:
                cognito.admin_disable_user(UserPoolId=pool, Username=name)
            found = cognito.admin_get_user(UserPoolId=pool, Username=name)["UserAttributes"]
            subject = next(one["Value"] for one in found if one["Name"] == "sub")
            moved.people[person["subject"]] = subject
        moved.write(self.ids)
        self.say(f"people: {invited} are invited, {len(moved.people)} have another id now")

    def _devices(self) -> None:
        table = DeviceTable(
            client=self.account.client("dynamodb"),
            name=names.DEVICES_TABLE,
            tenant=self.tenant.id,
        )
        registry = moves.Registry(
            iot=self.account.client("iot"), data=self.account.client("iot-data"), table=table
        )
        text = (self.archive.folder / "devices.jsonl").read_text(encoding="utf-8")
        count = sum(1 for _ in moves.imported(registry, text.splitlines(), by=self.by))
        self.say(f"devices: {count}, each with its facts and certificates")

    def _files(self, moved: Moved) -> None:
        """Contents with their metadata, the oldest version first; then what is known of them."""
        bucket, s3 = self.tenant.row["bucket"]["S"], self.account.client("s3")
        files = sorted(self.archive.lines("files.jsonl"), key=lambda line: line["modified"])
        for line in files:
            key = f"{line['key']}#{line['version']}"
            if key in moved.versions:
                continue
            content = self.archive.folder / "files" / line["sha256"]
            more = {"Metadata": line["metadata"], "ContentType": line["content_type"]}
            s3.upload_file(str(content), bucket, line["key"], ExtraArgs=more)
            held = s3.head_object(Bucket=bucket, Key=line["key"])
            moved.versions[key] = [held["VersionId"], held["ETag"]]
            moved.write(self.ids)
        # Deleted there, with versions that are kept for a while: deleted here as well.
        for name in {line["key"] for line in files} - {
            line["key"] for line in files if line["latest"]
        }:
            listed = s3.list_object_versions(Bucket=bucket, Prefix=name).get("DeleteMarkers", ())
            if not any(one["Key"] == name and one["IsLatest"] for one in listed):
                s3.delete_object(Bucket=bucket, Key=name)
        rows = list(self._rows_of(_TAKEN_NOUNS))
        # A version's id names it alone; under which key an uploaded file stands, its row does not.
        versions = {key.rpartition("#")[2]: held for key, held in moved.versions.items()}
        for row in rows:
            self._put(names.COMMANDS_TABLE, _with_version(row, versions))
        self.say(f"files: {len(files)} versions, and {len(rows)} rows that tell of them")

    def _rows_of(self, nouns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        prefix = names.thing_prefix(self.tenant.id)
        for line in self.archive.lines("history.jsonl"):
            partition = line["row"].get("thing", {}).get("S", "")
            noun = partition.removeprefix(prefix).partition("#")[0]
            if partition.startswith(prefix) and noun in nouns:
                yield line["row"]

    def _wishes(self, moved: Moved) -> None:
        """Wanted versions, stopped: whose they are has another id, and their batches stay behind.

        Fail closed: nobody is brought anywhere in the new cell before a person there says so.
        """
        own = f"{names.thing_prefix(self.tenant.id)}{_WISHES}"
        taken = 0
        for row in self._rows_of((_WISHES,)):
            if row["thing"]["S"] != own:  # a batch
                continue
            wish = json.loads(row["wish"]["S"])
            if wish["state"] != "active":
                continue
            pool, _, subject = wish["created_by"].partition("|")
            known = moved.people.get(subject) if pool == self.archive.manifest["pool_id"] else None
            if known is not None:
                wish["created_by"] = f"{self.tenant.pool_id}|{known}"
            wish |= {"state": "stopped", "why": _MOVED}
            taken += self._put(names.COMMANDS_TABLE, {**row, "wish": {"S": json.dumps(wish)}})
        self.say(f"wanted versions: {taken} came, stopped: each is set again by who wants it")

    def _grants(self, moved: Moved) -> None:
        """Those that have not ended, as policies of this pool and for who has the address now."""
        given, templates = 0, self.tenant.row.get("templates", {}).get("M", {})
        for row in self.archive.lines("grants.jsonl"):
            text = {name: value["S"] for name, value in row.items() if "S" in value}
            until = datetime.fromtimestamp(int(row["until"]["N"]) / 1000, UTC)
            if text["state"] not in _LIVING or until <= datetime.now(UTC):
                continue
            # Fail closed: one that is known here may have been revoked since.
            if self._has(names.COMMANDS_TABLE, {key: row[key] for key in ("thing", "sk")}):
                continue
            subject = moved.people.get(text["subject"])
            if subject is None or text["template"] not in templates:
                self.say(f"grant {text['grant_id']}: nobody here is its person, or no template")
                continue
            given += self._grant(row, text, templates[text["template"]]["M"], subject, until)
        self.say(f"grants: {given} are given anew")

    def _grant(
        self,
        row: dict[str, Any],
        text: dict[str, str],
        template: dict[str, Any],
        subject: str,
        until: datetime,
    ) -> bool:
        """Told first, as the service does it: no copy of the policies counts that lacks it."""
        resource = (
            EntityUid("Fleet::Device", text["device"])
            if "device" in text
            else EntityUid("Fleet::DeviceGroup", text["group"])
        )
        statement = granted_statement(
            template["statement"]["S"],
            grant_id=text["grant_id"],
            principal=EntityUid("Fleet::User", f"{self.tenant.pool_id}|{subject}"),
            resource=resource,
            until=until.replace(microsecond=0),
        )
        self.account.client("dynamodb").update_item(
            TableName=names.COMMANDS_TABLE,
            Key={
                "thing": {"S": f"{names.thing_prefix(self.tenant.id)}revocations"},
                "sk": {"S": "#granted"},
            },
            UpdateExpression="ADD policies :one",
            ExpressionAttributeValues={":one": {"SS": [fingerprint(statement)]}},
        )
        made = self.account.client("verifiedpermissions").create_policy(
            policyStoreId=self.tenant.store_id,
            definition={
                "static": {
                    "statement": statement,
                    "description": f"grant {text['grant_id']} of {text['template']}",
                }
            },
            name=f"name/grant-{text['grant_id']}",
            clientToken=text["grant_id"],
        )
        anew = {
            **row,
            "statement": {"S": statement},
            "person": {"S": subject if text["person"] == text["subject"] else text["person"]},
            "subject": {"S": subject},
            "policy_id": {"S": made["policyId"]},
            "state": {"S": "active"},
        }
        return self._put(names.COMMANDS_TABLE, anew)

    def _has(self, table: str, key: dict[str, Any]) -> bool:
        dynamodb = self.account.client("dynamodb")
        return "Item" in dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)

    def _put(self, table: str, row: dict[str, Any]) -> bool:
        """Whether the row is new; one that is there stays."""
        try:
            self.account.client("dynamodb").put_item(
                TableName=table, Item=row, ConditionExpression="attribute_not_exists(sk)"
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != _CONDITION_FAILED:
                raise
            return False
        return True

    def _note(self, moved: Moved) -> None:
        """In the audit table, outside all tenants' trails: which person of before is who now."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        for number, people in enumerate(people_of_rows(moved.people)):
            more = f" {number}" if number else ""
            self.account.client("dynamodb").put_item(
                TableName=names.AUDIT_TABLE,
                Item={
                    "partition": {"S": OPERATORS_PARTITION},
                    "sk": {"S": f"{self.tenant.id} {self.archive.manifest['began_at']}{more}"},
                    "by": {"S": self.by},
                    "at": {"S": at},
                    "people": {"M": people},
                },
            )
        self.say(f"what old ids became: {self.ids}")
        self.say(f"what did not come: {self.archive.manifest['cannot_move']}")
        for noun, why in self.archive.manifest["parts"]["history.jsonl"]["not_taken"].items():
            self.say(f"  {noun}: {why}")
        self.say("  histories and the audit trail: stay in the archive, where they verify")


def people_of_rows(people: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Which person of before is who now, as many as a row of DynamoDB takes; one row if nobody."""
    moved = sorted(people.items())
    for start in range(0, max(len(moved), 1), _PEOPLE_OF_A_ROW):
        yield {old: {"S": new} for old, new in moved[start : start + _PEOPLE_OF_A_ROW]}


def _with_version(row: dict[str, Any], versions: Mapping[str, list[str]]) -> dict[str, Any]:
    """A file's row that names the version and ETag of the new bucket."""
    if not {"version", "file_id", "etag"} <= row.keys():
        return row
    if (found := versions.get(row["version"]["S"])) is None:
        return row
    version, etag = found
    return {**row, "version": {"S": version}, "etag": {"S": etag}}
