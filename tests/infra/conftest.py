"""Fixtures for stamping: a cloud in its own process, a project with files of its own."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
import yaml
from botocore.config import Config
from botocore.credentials import ContainerProvider, CredentialResolver
from botocore.session import Session
from botocore.utils import ContainerMetadataFetcher

from infra.local.clients import MODELS
from infra.local.cloud.limits.enforcing import PACE_VARIABLE, QUOTAS_VARIABLE
from infra.local.engine import Engine
from infra.local.guarding import Guardrails
from infra.local.resources import HANDLERS, INVOKES
from infra.stacks import deploy_role, iam

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from infra.local.engine import Result

ROOT = Path(__file__).parents[2]


@dataclass
class ProcessCloud:
    """The cloud as the engine wants it, served by another process."""

    region: str
    account_id: str
    endpoint_url: str
    environment: dict[str, str]
    mqtt_port: int
    ca: str
    process: subprocess.Popen[str] = field(repr=False)
    clients: dict[str, Any] = field(default_factory=dict[str, Any])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def client(self, service: str, /) -> Any:
        """A client as root."""
        with self.lock:
            if service not in self.clients:
                self.clients[service] = self._make(
                    boto3.Session(
                        botocore_session=_core(),
                        aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
                        aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
                        region_name=self.region,
                    ),
                    service,
                )
            return self.clients[service]

    def environment_of(self, role_arn: str) -> dict[str, str]:
        """What an ECS task of `role_arn` finds in its environment."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(role_arn + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def client_of(self, role_arn: str, service: str, *, assuming: str | None = None) -> Any:
        """A client with the credentials of an ECS task's role, or of a role that it assumes."""
        environment = self.environment_of(role_arn)
        task = _core()
        fetcher = cast("Any", ContainerMetadataFetcher())  # its stub names the wrong fetcher
        provider = ContainerProvider(environ=environment, fetcher=fetcher)
        task.register_component("credential_provider", CredentialResolver([provider]))
        session = boto3.Session(botocore_session=task, region_name=self.region)
        if assuming is not None:
            sts = self._make(session, "sts")
            keys = sts.assume_role(RoleArn=assuming, RoleSessionName="test")["Credentials"]
            session = boto3.Session(
                botocore_session=_core(),
                aws_access_key_id=keys["AccessKeyId"],
                aws_secret_access_key=keys["SecretAccessKey"],
                aws_session_token=keys["SessionToken"],
                region_name=self.region,
            )
        return self._make(session, service)

    def _make(self, session: boto3.Session, service: str) -> Any:
        style = Config(s3={"addressing_style": "path"}, max_pool_connections=20)
        any_client: Any = session.client  # of any service, which the stubs do not know
        return any_client(service, endpoint_url=self.endpoint_url, config=style)


def _core() -> Session:
    """A session of botocore's, with the models that this process has parsed: 0.2 s each."""
    made = Session()
    made.register_component("data_loader", MODELS)
    return made


@dataclass
class DeployCloud:
    """The cloud as whoever stamps sees it: in sessions of the role for deployments."""

    cloud: ProcessCloud
    role_arn: str
    clients: dict[str, Any] = field(default_factory=dict[str, Any])
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def region(self) -> str:
        """The cloud's."""
        return self.cloud.region

    @property
    def account_id(self) -> str:
        """The cloud's."""
        return self.cloud.account_id

    @property
    def endpoint_url(self) -> str:
        """The cloud's."""
        return self.cloud.endpoint_url

    def client(self, service: str, /) -> Any:
        """A client of the role's."""
        with self.lock:
            if service not in self.clients:
                self.clients[service] = self.cloud.client_of(self.role_arn, service)
            return self.clients[service]


@dataclass
class Project:
    """A copy of the project's stack files, stamped from on one cloud.

    Attributes:
        root: the copy.
        cloud: as its root user sees it.
        stamper: with whose rights stacks are stamped, if not the root user's.
    """

    root: Path
    cloud: ProcessCloud
    stamper: DeployCloud | None = None

    @property
    def stamping(self) -> ProcessCloud | DeployCloud:
        """The cloud as the engine sees it."""
        return self.stamper or self.cloud

    @property
    def engine(self) -> Engine:
        """An engine that has read the files as they are now."""
        stacks = self.root / "state"
        return Engine(self.root, stacks, self.stamping, HANDLERS, INVOKES, guard=Guardrails())

    def up(self, stack: str) -> Result:
        """Stamp a stack."""
        return self.engine.up(stack)

    def change(self, stack: str, /, **values: object) -> None:
        """Set keys of a stack's `cedarfleet:tenant` or `cedarfleet:platform`."""
        path = self.root / "tenants" / f"Pulumi.{stack}.yaml"
        document = yaml.safe_load(path.read_text())
        kind = "platform" if stack == "platform" else "tenant"
        document["config"][f"cedarfleet:{kind}"] |= values
        path.write_text(yaml.safe_dump(document))

    def named(self, tenant: str) -> list[str]:
        """What bears a tenant's name: thing groups, IoT policies, templates, roles, user pools."""
        iot, iam = self.cloud.client("iot"), self.cloud.client("iam")
        names = [group["groupName"] for group in iot.list_thing_groups()["thingGroups"]]
        names += [policy["policyName"] for policy in iot.list_policies()["policies"]]
        names += [
            template["templateName"] for template in iot.list_provisioning_templates()["templates"]
        ]
        names += [role["RoleName"] for role in iam.list_roles()["Roles"]]
        pools = self.cloud.client("cognito-idp").list_user_pools(MaxResults=50)["UserPools"]
        return [name for name in (*names, *(pool["Name"] for pool in pools)) if tenant in name]


def copy_project(folder: Path) -> Path:
    """The program and the policies by link, the stack files and tenants' policies as copies."""
    for name in ("infra", "policies"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    for path in (ROOT / "tenants").rglob("*"):
        copy = folder / path.relative_to(ROOT)
        if path.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(path.read_text())
    return folder


@contextmanager
def running_cloud(
    folder: Path, *, pace: float | None = None, quotas: str = ""
) -> Generator[ProcessCloud]:
    """A cloud in a process of its own, with its state in a folder.

    Args:
        folder: for state and log.
        pace: of AWS's rates and delays; ``None``: that of the tests, which nobody waits for.
        quotas: what this account asked AWS to raise, e.g. `streams=400`.
    """
    own = {} if pace is None else {PACE_VARIABLE: str(pace)}
    own[QUOTAS_VARIABLE] = quotas
    script = Path(__file__).parent / "cloud_process.py"
    with (
        (folder / "cloud.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, str(script), str(folder / "state")],
            env={**os.environ, **own},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready, (folder / "cloud.log").read_text()
        cloud = ProcessCloud(**json.loads(ready), process=process)
        try:
            yield cloud
        finally:
            for client in cloud.clients.values():
                client.close()
            process.communicate(timeout=30)  # closes its standard input, which ends it


@contextmanager
def deploying(cloud: ProcessCloud) -> Generator[DeployCloud]:
    """The cloud with the rights of the role that stamps, made as its operator would make it."""
    client, account = cloud.client("iam"), cloud.account_id
    trusted = json.dumps(iam.trust("ecs-tasks.amazonaws.com", account))
    role = client.create_role(RoleName=deploy_role.NAME, AssumeRolePolicyDocument=trusted)["Role"]
    for name, document in deploy_role.policies(region=cloud.region, account_id=account).items():
        policy = client.create_policy(
            PolicyName=f"{deploy_role.NAME}-{name}", PolicyDocument=json.dumps(document)
        )["Policy"]
        client.attach_role_policy(RoleName=deploy_role.NAME, PolicyArn=policy["Arn"])
    stamper = DeployCloud(cloud, role["Arn"])
    try:
        yield stamper
    finally:
        for one in stamper.clients.values():
            one.close()


def _leave_out_what_lives_on() -> None:
    """Let no later garbage collection search what the first stacks have imported.

    That is half a million objects; the engine collects after each program that fails.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project's own stack files, with the platform, acme and globex stamped from them."""
    with running_cloud(tmp_path_factory.mktemp("stacks-cloud")) as cloud:
        made = Project(copy_project(tmp_path_factory.mktemp("project")), cloud)
        for stack in ("platform", "acme", "globex"):
            made.up(stack)
        _leave_out_what_lives_on()
        yield made


@pytest.fixture
def own(project: Project, tmp_path: Path) -> Project:
    """A copy of the project and of its state, whose files a test may change."""
    made = Project(copy_project(tmp_path), project.cloud)
    shutil.copytree(project.root / "state", made.root / "state")
    return made


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The platform and acme on their own cloud, unprotected: they can be broken and destroyed.

    They are stamped with the rights of the candidate for the deploy role, and no others.
    """
    with (
        running_cloud(tmp_path_factory.mktemp("scratch-cloud")) as cloud,
        deploying(cloud) as stamper,
    ):
        made = Project(copy_project(tmp_path_factory.mktemp("scratch")), cloud, stamper)
        for stack in ("platform", "acme"):
            made.change(stack, protect=False)
        # No committed tenant has a provider of its own, or a tier with all protection from threats.
        file = yaml.safe_load((made.root / "tenants" / "Pulumi.acme.yaml").read_text())
        told = {"metadata_url": "https://idp.acme.example/", "attributes": {"email": "mail"}}
        sign_in = file["config"]["cedarfleet:tenant"]["sign_in"]
        sign_in |= {"saml": {"AcmeSaml": told}, "mfa": "on"}
        made.change("acme", sign_in=sign_in, tier="enterprise")
        for stack in ("platform", "acme"):
            made.up(stack)
        _leave_out_what_lives_on()
        yield made
