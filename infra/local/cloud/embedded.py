"""``EmbeddedCloud``: start AWS on loopback in this process, use it, stop it; its state stays."""

# ruff: noqa: SLF001 - the emulator is untyped, and private names are all that it has

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Self

from infra.local import clients
from infra.local.cloud import corrections, emulator
from infra.local.cloud.authentication import Authentication
from infra.local.cloud.container_credentials import ContainerCredentials
from infra.local.cloud.emulator_log import logged_to
from infra.local.cloud.errors import EmbeddedCloudError, StateDamagedError
from infra.local.cloud.front_door import FrontDoor
from infra.local.cloud.limits.enforcing import Limits, PaceError, QuotasError
from infra.local.cloud.limits.table import CEDAR_POLICY, POLICY_WRITE
from infra.local.cloud.ports import listen
from infra.local.cloud.rights import Rights
from infra.local.cloud.server import Server
from infra.local.cloud.snapshot import Snapshots
from infra.local.cloud.state_directory import Ports, StateDirectory
from infra.local.verified_permissions import JournalError, VerifiedPermissions, Visibility

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path
    from types import TracebackType

    from infra.local.cloud.front_door import Application

ACCOUNT_ID: Final = "123456789012"
FRONT_DOOR: Final = "front_door"


class EmbeddedCloud:
    """One AWS account in one region.

    A process can run one, once: the emulator's state is global to the process.

    Attributes:
        endpoint_url: every AWS API, Verified Permissions included, and the Cognito pages.
        mqtt_host: name of the broker, as in its certificate.
        mqtt_port: MQTT 5 over mutual TLS.
        ca_file: the broker's CA, PEM.
        jwks_url_template: where a pool's keys are, ``{pool}`` to be filled in.
        limits: AWS's quotas, rates and delays, with the clock that tests advance.
        rights: what IAM was asked by sessions of roles.
    """

    endpoint_url: str
    mqtt_host: str = "localhost"
    mqtt_port: int
    ca_file: Path
    jwks_url_template: str

    def __init__(
        self,
        state_dir: Path,
        *,
        gateway_port: int = 0,
        mqtt_port: int = 0,
        region: str = "eu-central-1",
        without: Collection[str] = (),
    ) -> None:
        """Only remember the wishes; entering the context starts the cloud.

        Args:
            state_dir: made when missing, kept afterwards; private to this user and to one process
                at a time.
            gateway_port: 0: that of the last run if free, else any.
            mqtt_port: likewise.
            region: of everything in it.
            without: corrections to leave out (``front_door`` too); for tests that show what they
                are for.

        Raises:
            EmbeddedCloudError: the environment names a pace that is none.
        """
        self.region = region
        self.account_id = ACCOUNT_ID
        self._state_dir = state_dir
        self._wanted = Ports(gateway=gateway_port, mqtt=mqtt_port)
        self._without = frozenset(without)
        try:
            self.limits = Limits()
        except (PaceError, QuotasError) as error:
            raise EmbeddedCloudError(str(error)) from error
        self.rights = Rights()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start.

        Raises:
            PortTakenError: a port given by number is in use.
            StateInUseError: another process runs on this directory.
            StateDamagedError: the state is not what was written.
            EmbeddedCloudError: anything else that stops it; the message says what to do.
        """
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def _start(self, stack: ExitStack) -> None:
        directory = StateDirectory(self._state_dir)
        stack.callback(directory.close)
        last = directory.ports()
        gateway = listen(
            purpose="the gateway", wanted=self._wanted.gateway, remembered=last.gateway
        )
        stack.callback(gateway.close)
        mqtt = listen(purpose="MQTT", wanted=self._wanted.mqtt, remembered=last.mqtt)
        stack.callback(mqtt.close)
        port, self.mqtt_port = int(gateway.getsockname()[1]), int(mqtt.getsockname()[1])
        self.endpoint_url = f"http://127.0.0.1:{port}"
        self.jwks_url_template = f"{self.endpoint_url}/{{pool}}/.well-known/jwks.json"
        self._root = directory.root_keys()
        loaded = emulator.load(
            root=self._root,
            account_id=self.account_id,
            region=self.region,
            gateway_port=port,
            mqtt_listener=mqtt,
            s3_directory=directory.private_directory("s3"),
            keys_directory=directory.private_directory("pool-keys"),
            limits=self.limits,
            rights=self.rights,
        )
        corrections.apply(loaded, without=self._without - {FRONT_DOOR})
        stack.enter_context(logged_to(directory.path / "emulator.log"))
        policies = self._verified_permissions(loaded, directory)
        stack.callback(policies.close)
        snapshots = Snapshots(
            emulator=loaded, directory=directory, inner=_by_target(loaded.app.app, policies)
        )
        self._credentials = ContainerCredentials(
            emulator=loaded, inner=self._behind_front_door(loaded, snapshots)
        )
        self._server = server = Server(
            emulator=loaded, application=self._credentials, snapshots=snapshots, gateway=gateway
        )
        stack.callback(server.stop)
        server.start()
        self.ca_file = directory.write(
            "broker-ca.pem", loaded.module("services.iot").get_ca_cert_pem().encode()
        )
        directory.remember(Ports(gateway=port, mqtt=self.mqtt_port))
        self._clients = clients.RootClients(
            endpoint_url=self.endpoint_url, region=self.region, root=self._root
        )
        stack.callback(self._clients.close)

    def _verified_permissions(
        self, loaded: emulator.Emulator, directory: StateDirectory
    ) -> VerifiedPermissions:
        authentication = Authentication(loaded)
        try:
            return VerifiedPermissions(
                state_dir=directory.private_directory("verified-permissions"),
                authenticate=authentication.authenticate,
                signing_keys=authentication.signing_keys,
                account_id=self.account_id,
                visibility=Visibility(
                    now=self.limits.clock.now, seconds=lambda: self.limits.seconds(CEDAR_POLICY)
                ),
                write_seconds=lambda: self.limits.seconds(POLICY_WRITE),
            )
        except JournalError as error:
            raise StateDamagedError(str(error)) from error

    def _behind_front_door(self, loaded: emulator.Emulator, snapshots: Snapshots) -> Application:
        if FRONT_DOOR in self._without:
            return snapshots
        unsigned = frozenset[str](loaded.module("services.cognito")._UNSIGNED_IDP_ACTIONS)
        return FrontDoor(inner=snapshots, unsigned_cognito=unsigned)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop; the state is written and both ports are closed when this returns."""
        self._stack.close()

    def save(self) -> None:
        """Write the state now: what was done before is found again, also after ``kill -9``.

        Raises:
            OSError: it cannot be written.
        """
        self._server.save()

    def client(self, service: str) -> Any:
        """The boto3 client of a service, as the account's root; closed with the cloud."""
        return self._clients.get(service)

    def environment(self, role_arn: str | None = None) -> dict[str, str]:
        """Environment variables for a child process.

        Args:
            role_arn: the child gets sessions of this role, refreshed, as an ECS task does; without
                it, the root keys.
        """
        variables = clients.environment(endpoint_url=self.endpoint_url, region=self.region)
        if role_arn is None:
            return variables | {
                "AWS_ACCESS_KEY_ID": self._root.access_key_id,
                "AWS_SECRET_ACCESS_KEY": self._root.secret_access_key,
            }
        path, token = self._credentials.admit(role_arn)
        return variables | {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.endpoint_url}{path}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
        }


def _by_target(emulator_app: Application, policies: Application) -> Application:
    """Send requests of Verified Permissions to its endpoint, all others to the emulator."""

    async def route(scope: Any, receive: Any, send: Any) -> None:
        names = [value for key, value in scope["headers"] if key.lower() == b"x-amz-target"]
        to_policies = (
            scope["type"] == "http" and bool(names) and names[0].startswith(b"VerifiedPermissions.")
        )
        await (policies if to_policies else emulator_app)(scope, receive, send)

    return route
