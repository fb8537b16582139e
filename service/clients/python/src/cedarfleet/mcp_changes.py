"""Tools that change something, in pairs: one plans and shows, the other applies that plan.

What is applied is what was shown: a command by one key of idempotency, a campaign by the names of
its devices, a wanted version only while it is as it was seen (``If-Match``), a rollout by the
service's own plan (``docs/adr/0051-agents-ask-as-agents.md``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx
from mcp.server.fastmcp.exceptions import ToolError
from mcp.types import ToolAnnotations

from cedarfleet import steps
from cedarfleet.errors import NotFoundError, UnreachableError
from cedarfleet.generated.api.default import (
    check_permissions,
    end_wanted_version,
    read_wanted_version,
    set_wanted_version,
)
from cedarfleet.generated.models import (
    CheckBody,
    CheckOut,
    WantedVersionBody,
    WantedVersionOut,
)
from cedarfleet.generated.types import UNSET
from cedarfleet.mcp_answers import answered, document
from cedarfleet.mcp_plans import Plans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp.server.fastmcp import FastMCP

    from cedarfleet.async_client import AsyncFleet

_NAMED: Final = 500  # devices that a campaign names
_ASKED: Final = 50  # questions of one check
_PLANS: Final = ToolAnnotations(
    readOnlyHint=False, destructiveHint=False, idempotentHint=True, openWorldHint=False
)
_APPLIES: Final = ToolAnnotations(
    readOnlyHint=False, destructiveHint=True, idempotentHint=True, openWorldHint=False
)


def add_changes(made: FastMCP, fleet: AsyncFleet) -> None:
    """Add the pairs; their plans are of this session."""
    plans = Plans()
    _add_commands(made, fleet, plans)
    _add_rollouts(made, fleet)
    _add_campaigns(made, fleet, plans)
    _add_wanted_versions(made, fleet, plans)


def _add_commands(made: FastMCP, fleet: AsyncFleet, plans: Plans) -> None:
    @made.tool(annotations=_PLANS)
    async def plan_command(
        device: str,
        command: str,
        arguments: dict[str, Any] | None = None,
        reason: str | None = None,
    ) -> dict[str, Any]:
        """Plan a command: says whether the policies allow it, and sends nothing."""
        said = await answered(document(lambda: fleet.why(command=command, device=device)))
        key = steps.key()

        async def apply() -> dict[str, Any]:
            sent = await fleet.send(
                device, command, arguments=arguments or {}, reason=reason, idempotency_key=key
            )
            return sent.to_dict()

        shown = {
            "device": device,
            "command": command,
            "arguments": arguments or {},
            "reason": reason,
            "allowed": said["allowed"],
            "policies": said["policies"],
            "explained": said["explained"],
        }
        return plans.keep("command", apply, shown)

    @made.tool(annotations=_APPLIES)
    async def apply_command(plan: str) -> dict[str, Any]:
        """Send exactly the command of a plan; again it is the same command, and sent once."""
        return await plans.apply("command", plan)


def _add_rollouts(made: FastMCP, fleet: AsyncFleet) -> None:
    @made.tool(annotations=_PLANS)
    async def plan_rollout(
        artifact: str, device: str | None = None, group: str | None = None
    ) -> dict[str, Any]:
        """Plan to deliver a file to a device or group: what becomes of each; starts nothing."""
        return await answered(
            document(lambda: fleet.plan(artifact=artifact, device=device, group=group))
        )

    @made.tool(annotations=_APPLIES)
    async def apply_rollout(plan: str) -> dict[str, Any]:
        """Start exactly a plan, once; refused as stale if fleet or policies have changed."""
        return await answered(document(lambda: fleet.apply(plan)))


def _add_campaigns(made: FastMCP, fleet: AsyncFleet, plans: Plans) -> None:
    @made.tool(annotations=_PLANS)
    async def plan_campaign(
        *,
        command: str,
        group: str | None = None,
        tag: list[str] | None = None,
        connected: bool | None = None,
        devices: list[str] | None = None,
        arguments: dict[str, Any] | None = None,
        reason: str | None = None,
    ) -> dict[str, Any]:
        """Plan one command for many devices: by name, or by group, tag and connection.

        Says of each of these devices what the policies say now; sends nothing. The plan is for
        just these devices, at most 500; each is decided again when its turn comes.
        """
        named = devices or await _found(fleet, group=group, tag=tag, connected=connected)
        if not named or len(named) > _NAMED:
            raise ToolError(f"that is {len(named)} devices: a plan is for 1 to {_NAMED}")
        may = await _may(fleet, command, named)
        key, shape = steps.key(), {"arguments": arguments or {}, "reason": reason}

        async def apply() -> dict[str, Any]:
            begun = await fleet.begin_campaign(command, devices=named, idempotency_key=key, **shape)
            return begun.to_dict()

        denied = [one for one in may if not one["allowed"]]
        shown = {"command": command, **shape, "devices": named, "denied": denied}
        return plans.keep("campaign", apply, shown)

    @made.tool(annotations=_APPLIES)
    async def apply_campaign(plan: str) -> dict[str, Any]:
        """Begin exactly the campaign of a plan; again it is the same, and begun once."""
        return await plans.apply("campaign", plan)

    @made.tool(annotations=_PLANS)
    async def plan_campaign_cancel(campaign: str) -> dict[str, Any]:
        """Plan to cancel a campaign: says how far it came; takes nothing back."""
        seen = await answered(document(lambda: fleet.campaign(campaign)))

        async def apply() -> dict[str, Any]:
            return (await fleet.cancel_campaign(campaign)).to_dict()

        return plans.keep("campaign-cancel", apply, {"campaign": seen})

    @made.tool(annotations=_APPLIES)
    async def apply_campaign_cancel(plan: str) -> dict[str, Any]:
        """Cancel the campaign of a plan; what has begun on its device goes on."""
        return await plans.apply("campaign-cancel", plan)


def _add_wanted_versions(made: FastMCP, fleet: AsyncFleet, plans: Plans) -> None:
    @made.tool(annotations=_PLANS)
    async def plan_wanted_version(
        *,
        group: str,
        package: str,
        file: str,
        devices_per_hour: int | None = None,
        window: str | None = None,
        utc_offset: str | None = None,
    ) -> dict[str, Any]:
        """Plan to have a group's devices come to the version that an uploaded file (its id) brings.

        Says what the group wants now, and what the policies say; changes nothing.
        """
        tag, seen = await _wish(fleet, group, package)
        may = await answered(document(lambda: fleet.may(action="SetWantedVersion", group=group)))
        pace = {"devices_per_hour": devices_per_hour, "window": window, "utc_offset": utc_offset}
        asked = {"file": file} | {name: one for name, one in pace.items() if one is not None}

        async def apply() -> dict[str, Any]:
            await _unchanged(fleet, group, package, tag)
            wish = await fleet.run(
                steps.ask(
                    WantedVersionOut,
                    set_wanted_version,
                    group=group,
                    package=package,
                    body=WantedVersionBody.from_dict(asked),
                    if_match=tag or UNSET,
                )
            )
            return wish.to_dict()

        shown = {"group": group, "package": package, "asked": asked, "now": seen, "may": may}
        return plans.keep("wanted", apply, shown)

    @made.tool(annotations=_APPLIES)
    async def apply_wanted_version(plan: str) -> dict[str, Any]:
        """Have the group want what the plan says; refused if it was changed meanwhile."""
        return await plans.apply("wanted", plan)

    @made.tool(annotations=_PLANS)
    async def plan_wanted_version_end(group: str, package: str) -> dict[str, Any]:
        """Plan to have a group want nothing of a package; says what it wants, changes nothing."""
        tag, seen = await _wish(fleet, group, package)
        if tag is None:
            raise ToolError(f"`{group}` wants nothing of `{package}`")

        async def apply() -> dict[str, Any]:
            ended = await fleet.run(
                steps.ask(
                    WantedVersionOut,
                    end_wanted_version,
                    again=False,
                    group=group,
                    package=package,
                    if_match=tag,
                )
            )
            return ended.to_dict()

        return plans.keep("wanted-end", apply, {"now": seen})

    @made.tool(annotations=_APPLIES)
    async def apply_wanted_version_end(plan: str) -> dict[str, Any]:
        """End what the plan says; refused if it was changed meanwhile."""
        return await plans.apply("wanted-end", plan)


async def _found(fleet: AsyncFleet, **filters: Any) -> list[str]:
    """The devices of a filter, one more than a plan is for at most.

    Raises:
        ToolError: nothing is asked for: that would be the whole fleet.
    """
    wanted = {name: one for name, one in filters.items() if one is not None}
    # Fail closed: a filter that was forgotten is no wish for all of them.
    if not wanted:
        raise ToolError("say which devices: by name, group, tag or connection; all are in `all`")
    named: list[str] = []

    async def read() -> dict[str, Any]:
        async for device in fleet.devices(limit=100, **wanted):
            named.append(device.id)
            if len(named) > _NAMED:
                break
        return {}

    await answered(read())
    return named


async def _may(fleet: AsyncFleet, command: str, named: Sequence[str]) -> list[dict[str, Any]]:
    """What the policies say now of each device."""
    said: list[dict[str, Any]] = []
    for start in range(0, len(named), _ASKED):
        part = named[start : start + _ASKED]
        body = CheckBody.from_dict(
            {"checks": [{"command": command, "device": one} for one in part]}
        )
        found = await answered(
            document(lambda body=body: fleet.run(steps.ask(CheckOut, check_permissions, body=body)))
        )
        said += [
            {"device": device, **answer}
            for device, answer in zip(part, found["answers"], strict=True)
        ]
    return said


async def _wish(
    fleet: AsyncFleet, group: str, package: str
) -> tuple[str | None, dict[str, Any] | None]:
    """The tag of what a group wants of a package, and that with its progress."""

    async def read() -> dict[str, Any]:
        try:
            found = await read_wanted_version.asyncio_detailed(group, package, client=fleet.http)
        except NotFoundError:
            return {}
        except httpx.TransportError as error:
            raise UnreachableError(f"nobody answers: {type(error).__name__}") from error
        parsed: Any = found.parsed
        return {"tag": found.headers["etag"], "seen": parsed.to_dict()}

    known = await answered(read())
    return known.get("tag"), known.get("seen")


async def _unchanged(fleet: AsyncFleet, group: str, package: str, tag: str | None) -> None:
    """Refuse where there was no wish and now is one; a wish itself is held by its tag."""
    if tag is None and (await _wish(fleet, group, package))[0] is not None:
        raise ToolError("somebody has wanted a version meanwhile: plan it again")
