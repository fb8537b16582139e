"""What a caller may do, without doing it: for buttons that are there or say why they are not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from service.cedar.decision import Allowed, Denied
from service.cedar.entities import tenant_entity
from service.domain.artifacts import is_artifact_name, permission_for
from service.domain.built_in_commands import action_of, command_names
from service.domain.groups import find_group
from service.domain.permissions import DELIVERING, OF_DEVICES, OF_GROUPS, OF_TENANT, Permission
from service.errors import ConflictError, InvalidRequestError, NotFoundError
from service.operations.devices import find_device_or_none
from service.operations.known_commands import knowing_commands
from service.operations.known_groups import knowing
from service.operations.purpose import Purpose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from service.cedar.decision import Decision
    from service.cedar.entities import Entity
    from service.domain.artifacts import Artifact
    from service.domain.devices import Device
    from service.domain.tenants import Tenant
    from service.operations.authorization import Access
    from service.ports.artifacts import Artifacts
    from service.ports.command_types import CommandTypeRecords
    from service.ports.devices import DeviceFacts
    from service.ports.files import FileRecords
    from service.ports.groups import GroupRecords

MAX_QUESTIONS: Final = 100
MAX_FILES: Final = 10  # of one request: each is a call or two of AWS
_AT_ONCE: Final = 16  # devices that are looked up for one request


@dataclass(frozen=True, kw_only=True)
class Question:
    """May I do this to that?

    Attributes:
        action: of the schema; ``None`` where ``command`` says it.
        command: a command of the tenant.
        device: on which; ``None``, as the group: of the tenant itself.
        group: a device group, for what can be done to one.
        artifact: the file to deliver.
        emergency_reason: as it would be declared.
    """

    action: Permission | None = None
    command: str | None = None
    device: str | None = None
    group: str | None = None
    artifact: str | None = None
    emergency_reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the policies would say.

    Attributes:
        decision: theirs, by the names of our files.
        problem: why there is none, in words.
    """

    decision: Decision | None = None
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question with what it is about."""

    action: Permission
    entities: tuple[Entity, ...]
    purpose: Purpose
    device: Device | None


@dataclass(frozen=True, kw_only=True)
class Permissions:
    """What callers may do, as far as the policies know now; nothing is done, granted or audited."""

    devices: DeviceFacts
    groups: GroupRecords
    types: CommandTypeRecords
    artifacts: Artifacts
    files: FileRecords

    async def check(self, access: Access, questions: Sequence[Question]) -> tuple[Answer, ...]:
        """Answer each question, in their order.

        Of a device that the caller may not view, a refusal reads as of one that there is not: who
        asks learns no names.

        Raises:
            InvalidRequestError: a question is not of its form; names it.
            UnavailableError: nobody can say what the policies say.
        """
        asked, answers = await self.resolve(access.principal.tenant, questions)
        decisions = await access.advise(
            [(one.action, one.entities, one.purpose) for one in asked.values()]
        )
        for index, decision in zip(asked, decisions, strict=True):
            answers[index] = Answer(decision=decision)
        refused = {
            index: one.device
            for index, one in asked.items()
            if one.device is not None and isinstance(answers[index].decision, Denied)
        }
        seen = await access.advise_on_devices(Permission.VIEW_DEVICE, list(refused.values()))
        for (index, device), decision in zip(refused.items(), seen, strict=True):
            # Fail closed: unless it may be viewed, nobody learns that it is there.
            if not isinstance(decision, Allowed):
                answers[index] = _unknown_device(device.id)
        return tuple(answers[index] for index in range(len(questions)))

    async def resolve(
        self, tenant: Tenant, questions: Sequence[Question]
    ) -> tuple[dict[int, Asked], dict[int, Answer]]:
        """What each question is about, and the answer of those that no policy can be asked.

        Raises:
            InvalidRequestError: a question is not of its form; names it.
        """
        tenant = await knowing(self.groups, tenant, [one.group for one in questions])
        tenant = await knowing_commands(self.types, tenant, [one.command for one in questions])
        actions = [_action(tenant, index, one) for index, one in enumerate(questions)]
        found = await self._devices_of(tenant, questions)
        files = await self._files_of(tenant, questions)
        asked: dict[int, Asked] = {}
        answers: dict[int, Answer] = {}
        for index, (question, action) in enumerate(zip(questions, actions, strict=True)):
            try:
                asked[index] = self._asked(tenant, question, action, found, files)
            except _NoDeviceError:
                answers[index] = _unknown_device(question.device or "")
            except ConflictError as error:
                answers[index] = Answer(problem=str(error))
        return asked, answers

    async def on_devices(
        self, access: Access, devices: Sequence[Device], actions: Sequence[Permission]
    ) -> list[tuple[Permission, ...]]:
        """Which of ``actions`` the caller may do to each device, for a list that is shown already.

        To one on which no policy can decide, none.

        Raises:
            InvalidRequestError: an action is none of a device's.
            UnavailableError: nobody can say what the policies say.
        """
        may: dict[str, list[Permission]] = {device.id: [] for device in devices}
        readable = [device for device in devices if device.problem is None]
        for action in actions:
            if action not in OF_DEVICES:
                raise InvalidRequestError("may", f"`{action}` is not asked of a device")
            decisions = await access.advise_on_devices(action, readable)
            for device, decision in zip(readable, decisions, strict=True):
                if isinstance(decision, Allowed):
                    may[device.id].append(action)
        return [tuple(may[device.id]) for device in devices]

    async def check_viewed(self, access: Access, device: Device) -> None:
        """Go on only if the caller may view the device.

        Raises:
            NotFoundError: they may not, or nobody can say: they learn no name.
        """
        seen = ()
        if device.problem is None:
            seen = await access.advise_on_devices(Permission.VIEW_DEVICE, [device])
        # Fail closed: one device, one answer, and that is yes.
        if not (len(seen) == 1 and isinstance(seen[0], Allowed)):
            raise NotFoundError("device", device.id)

    async def of_the_tenant(self, access: Access) -> tuple[Permission, ...]:
        """What the caller may do that is asked of the tenant itself, sorted by name.

        Raises:
            UnavailableError: nobody can say what the policies say.
        """
        tenant = (tenant_entity(access.principal.tenant.id),)
        actions = sorted(OF_TENANT)
        decisions = await access.advise([(action, tenant, Purpose()) for action in actions])
        return tuple(
            action
            for action, decision in zip(actions, decisions, strict=True)
            if isinstance(decision, Allowed)
        )

    async def _devices_of(
        self, tenant: Tenant, questions: Sequence[Question]
    ) -> Mapping[str, Device | None]:
        ids = sorted({one.device for one in questions if one.device is not None})
        places = asyncio.Semaphore(_AT_ONCE)

        async def find(device: str) -> Device | None:
            async with places:
                return await find_device_or_none(self.devices, tenant, device)

        return dict(zip(ids, await asyncio.gather(*map(find, ids)), strict=True))

    async def _files_of(
        self, tenant: Tenant, questions: Sequence[Question]
    ) -> Mapping[str, Artifact | None]:
        names = sorted({one.artifact for one in questions if one.artifact is not None})
        if len(names) > MAX_FILES:
            raise InvalidRequestError(
                "checks", f"ask of at most {MAX_FILES} different files at once, not {len(names)}"
            )
        found: dict[str, Artifact | None] = {}
        for name in names:
            newest = await self.files.newest(tenant, name)
            found[name] = newest.artifact() if newest else await self.artifacts.find(tenant, name)
        return found

    def _asked(
        self,
        tenant: Tenant,
        question: Question,
        action: Permission,
        found: Mapping[str, Device | None],
        files: Mapping[str, Artifact | None],
    ) -> Asked:
        device = None
        if question.device is not None:
            device = found[question.device]
            if device is None:
                raise _NoDeviceError
            entities = device.entities(tenant.groups)
        elif question.group is not None:
            group = find_group(tenant, question.group)
            if group is None:
                raise ConflictError(f"the tenant has no group `{question.group}`")
            if action is Permission.UPDATE_FIRMWARE:
                raise ConflictError(
                    "firmware for a group is decided member by member: ask of its devices"
                )
            entities = group.entities(tenant.groups)
        else:
            entities = (tenant_entity(tenant.id),)
        file = None if question.artifact is None else files[question.artifact]
        if question.artifact is not None and file is None:
            raise ConflictError(f"the tenant has no file `{question.artifact}`")
        purpose = Purpose(
            command=question.command, artifact=file, emergency_reason=question.emergency_reason
        )
        return Asked(action=action, entities=entities, purpose=purpose, device=device)


class _NoDeviceError(Exception):
    """There is no such device."""


def _unknown_device(device: str) -> Answer:
    return Answer(problem=f"there is no device `{device}` that you may view")


def _wrong(index: int, member: str, words: str) -> InvalidRequestError:
    return InvalidRequestError(f"checks[{index}].{member}", words)


def _action(tenant: Tenant, index: int, question: Question) -> Permission:
    """What a question asks for.

    Raises:
        InvalidRequestError: its parts do not fit together; names it.
    """
    if question.artifact is not None and not is_artifact_name(question.artifact):
        raise _wrong(index, "artifact", "must be a relative name like `recipes/steel.json`")
    if question.action is not None and question.command is None:
        action = question.action
    elif question.command is not None and question.action is None:
        known = action_of(tenant, question.command)
        if known is None:
            names = command_names(tenant)
            words = f"the tenant has no command `{question.command}`; it has: {names}"
            raise _wrong(index, "command", words)
        action = known
    else:
        raise _wrong(index, "action", "give either an `action` or a `command`")
    _check_resource(index, question, action)
    return action


def _check_resource(index: int, question: Question, action: Permission) -> None:
    """Refuse a question that Cedar's schema does not know.

    Raises:
        InvalidRequestError: names the member.
    """
    if question.device is not None and question.group is not None:
        raise _wrong(index, "group", "a question is of a device or of a group, not of both")
    if question.device is not None and action not in OF_DEVICES:
        raise _wrong(index, "device", f"`{action}` is not asked of a device")
    if question.group is not None and action not in OF_GROUPS:
        raise _wrong(index, "group", f"`{action}` is not asked of a group")
    if question.device is None and question.group is None and action not in OF_TENANT:
        raise _wrong(index, "device", f"`{action}` is asked of a device: name it")
    if question.artifact is not None and action in DELIVERING:
        delivers = permission_for(question.artifact)
        if delivers is not action:
            raise _wrong(index, "action", f"to deliver this file is `{delivers}`")
