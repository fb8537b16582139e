"""Where the check works: names with its own prefix and tag, one role, and what stands so far."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from infra import names
from infra.aws_check.leftovers import Leftovers
from infra.stacks import iam

if TYPE_CHECKING:
    from pathlib import Path

    from infra.aws_check.calls import AwsCalls
    from infra.aws_check.device import Device
    from infra.aws_check.waiting import Waiting

PREFIX: Final = "cedarfleet-check-"
TAG: Final = "cedarfleet-check"
_ROLE_IS_KNOWN_SECONDS: Final = 15  # IAM is eventually consistent


class NotMadeError(RuntimeError):
    """Something that a probe needs could not be made; says what."""


@dataclass(kw_only=True)
class Sandbox:
    """One run in one account.

    Attributes:
        calls: clients, counted.
        waiting: time as it passes there.
        folder: private, for the device's files; gone with the run.
        ca_file: PEM of who signs the broker's certificate.
        account_id: twelve digits.
        id: of this run; part of every name.
        mqtt_host: the account's data endpoint.
        mqtt_port: of MQTT there.
        device: the one that was let in.
        revoked: its certificate.
    """

    calls: AwsCalls
    waiting: Waiting
    folder: Path
    ca_file: Path
    account_id: str
    id: str = field(default_factory=lambda: secrets.token_hex(3))
    mqtt_host: str = ""
    mqtt_port: int = 8883
    device: Device | None = None
    revoked: bool = False
    leftovers: Leftovers = field(init=False)
    _role_arn: str = ""

    def __post_init__(self) -> None:
        """Nothing is left over yet."""
        self.leftovers = Leftovers(self.calls, self.waiting)

    @property
    def tenant(self) -> str:
        """The tenant that the check plays; each name begins with it."""
        return f"{PREFIX}{self.id}"

    @property
    def arns(self) -> names.Arns:
        """Names of resources."""
        return names.Arns(region=self.calls.region, account_id=self.account_id)

    @property
    def tags(self) -> list[dict[str, str]]:
        """Of everything that can be tagged."""
        return [{"Key": TAG, "Value": self.id}]

    @property
    def bucket(self) -> str:
        """With the account's number, since all the world shares these names."""
        return f"{self.tenant}-{self.account_id}"

    @property
    def table(self) -> str:
        """Rows of the status rule."""
        return self.tenant

    def role(self) -> str:
        """The one role of the check, made for the first who asks; its ARN.

        It may do what the presign role and the rule's role may, for the check's own resources, and
        IoT Core takes it for the check's own job and rule alone.

        Raises:
            NotMadeError: IAM refused, for whoever asks later too.
        """
        if self._role_arn == "refused":
            raise NotMadeError("the role could not be made")
        if not self._role_arn:
            self._role_arn = "refused"
            self._role_arn = self._make_role()
        return self._role_arn

    def _make_role(self) -> str:
        client: Any = self.calls.client("iam")
        role, policy = self.tenant, "check"
        self.leftovers.expect(f"role {role}", lambda: client.delete_role(RoleName=role))
        made = client.create_role(
            RoleName=role,
            AssumeRolePolicyDocument=json.dumps(self._trust()),
            Description="make aws-check of Cedarfleet; may be deleted",
            Tags=self.tags,
        )
        self.leftovers.expect(
            f"policy of role {role}",
            lambda: client.delete_role_policy(RoleName=role, PolicyName=policy),
        )
        client.put_role_policy(
            RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(self._permissions())
        )
        self.waiting.pause(_ROLE_IS_KNOWN_SECONDS)
        return str(made["Role"]["Arn"])

    def _trust(self) -> iam.Document:
        taken_for = self.arns.iot(f"job/{names.thing_prefix(self.tenant)}*")
        [statement] = iam.trust("iot.amazonaws.com", self.account_id)["Statement"]
        own = statement | {"Sid": "Jobs"}
        own["Condition"] = statement["Condition"] | {"ArnLike": {"aws:SourceArn": taken_for}}
        # The rule's role of the product names the account alone, and this one names this rule too.
        rule = statement | {"Sid": "Rule"}
        rule["Condition"] = statement["Condition"] | {
            "ArnLike": {"aws:SourceArn": self.arns.iot(f"rule/{self.rule}")}
        }
        return iam.document(own, rule)

    @property
    def rule(self) -> str:
        """A rule's name allows no `-`."""
        return self.tenant.replace("-", "_")

    def _permissions(self) -> iam.Document:
        files = names.Arns.bucket(self.bucket)
        return iam.document(
            iam.allow("Read", "s3:GetObject", f"{files}/*"),
            iam.allow("Rows", "dynamodb:PutItem", self.arns.table(self.table)),
        )

    def thing(self) -> str:
        """The device's thing.

        Raises:
            NotMadeError: no device was made.
        """
        if self.device is None:
            raise NotMadeError("no device was made")
        return self.device.thing
