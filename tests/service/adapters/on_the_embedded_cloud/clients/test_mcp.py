"""`cedarfleet mcp` as an agent starts it: a client of the `mcp` package calls the tools."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cedarfleet import AsyncFleet
from cedarfleet.mcp_server import server
from cedarfleet.session_file import keep, kept
from cedarfleet.sign_in import Bearer
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.shared.memory import create_connected_server_and_client_session

from tests.service.adapters.on_the_embedded_cloud.clients.conftest import (
    PROGRAM,
    Terminal,
    with_callback,
)
from tests.service.adapters.on_the_embedded_cloud.clients.test_command_line import (
    asked,
    login,
    returned,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from mcp.types import CallToolResult

    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

READING = {
    "who_am_i",
    "list_devices",
    "get_device",
    "list_commands",
    "get_command",
    "get_rollout",
    "why",
    "list_campaigns",
    "get_campaign",
    "list_versions",
    "get_wanted_versions",
    "get_wanted_version",
    "list_grants",
}
CHANGING = {
    f"{verb}_{what}"
    for verb in ("plan", "apply")
    for what in (
        "command",
        "rollout",
        "campaign",
        "campaign_cancel",
        "wanted_version",
        "wanted_version_end",
    )
}


@pytest.fixture(scope="module")
def signed_in(deployed: DeployedService, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """Where a manager of acme has signed an agent in, and nobody else."""
    terminal = Terminal(deployed=deployed, folder=tmp_path_factory.mktemp("agent"))
    process = login(terminal, with_callback(deployed, "agent_client_id"), "--agent")
    back = returned(asked(process), terminal.deployed.people["acme"]["managers"])
    assert httpx.get(back, trust_env=False).status_code == 200
    _, words = process.communicate(timeout=30)
    assert process.returncode == 0, words
    return terminal


@pytest.fixture
def agent(signed_in: Terminal) -> Terminal:
    """The same, with variables of its own."""
    return Terminal(deployed=signed_in.deployed, folder=signed_in.folder)


@asynccontextmanager
async def tools(terminal: Terminal) -> AsyncGenerator[ClientSession]:
    """The tools, those that change things too, in this process: a start takes a second or two."""
    file = terminal.session.with_name("agent.json")
    session = kept(file)
    assert session is not None
    bearer = Bearer(session, keep=lambda found: keep(found, file))
    async with (
        AsyncFleet(session.api, bearer, proxies=False) as fleet,
        create_connected_server_and_client_session(server(fleet, changes=True)) as connected,
    ):
        yield connected


@asynccontextmanager
async def started(terminal: Terminal, *flags: str) -> AsyncGenerator[ClientSession]:
    """The agent's side of the tools, with ``cedarfleet mcp`` as a process on the other."""
    command = StdioServerParameters(
        command=str(PROGRAM), args=["mcp", *flags], env=terminal.environment()
    )
    async with stdio_client(command) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        yield session


def told(result: CallToolResult) -> Any:
    """What a tool answered, in JSON."""
    [content] = result.content
    assert content.type == "text"
    assert not result.isError, content.text
    return json.loads(content.text)


def refused(result: CallToolResult) -> str:
    """The words of a tool that did nothing."""
    [content] = result.content
    assert content.type == "text"
    assert result.isError, content.text
    return content.text


def newest(deployed: DeployedService, action: str) -> dict[str, Any]:
    """The last entry of the trail about an action."""
    answer = deployed.call("GET", "/v1/audit", params={"action": action, "limit": 1})
    [entry] = answer.json()["entries"]
    return entry


def test_an_agent_has_a_session_of_its_own(terminal: Terminal) -> None:
    """Neither the person's session nor a token of the environment lets an agent begin."""
    process = terminal.as_person("managers").run("mcp")
    assert process.returncode == 3
    assert "no agent is signed in" in process.stderr


def test_tools_read_unless_changes_are_asked_for(agent: Terminal) -> None:
    """By default there is nothing that changes anything; what does comes in pairs, and says so."""

    async def scenario() -> None:
        async with started(agent) as session:
            listed = (await session.list_tools()).tools
            assert {one.name for one in listed} == READING
            assert all(one.annotations and one.annotations.readOnlyHint for one in listed)
            me = told(await session.call_tool("who_am_i", {}))
            assert (me["email"], "ManagePeople" in me["may"]) == ("manager@acme.example", False)
            devices = told(await session.call_tool("list_devices", {"text": "press"}))
            assert {"press-01", "press-02"} <= {one["id"] for one in devices["devices"]}
            missing = await session.call_tool("get_device", {"device": "no-such"})
            assert refused(missing).endswith("not-found: device `no-such` not found") or (
                "not-found" in refused(missing)
            )
        async with started(agent, "--changes") as session:
            listed = (await session.list_tools()).tools
            assert {one.name for one in listed} == READING | CHANGING

    asyncio.run(scenario())


def test_an_agent_does_what_it_planned(agent: Terminal, press: str) -> None:
    """Planned, then applied: the same command however often; audited as an agent's."""

    async def scenario() -> None:
        async with tools(agent) as session:
            invented = await session.call_tool("apply_command", {"plan": "invented"})
            assert "no such plan" in refused(invented)
            before = agent.deployed.call("GET", f"/v1/devices/{press}/commands").json()["commands"]
            plan = told(
                await session.call_tool("plan_command", {"device": press, "command": "reboot"})
            )
            assert (plan["allowed"], plan["policies"]) == (True, ["managers-everything"])
            after = agent.deployed.call("GET", f"/v1/devices/{press}/commands").json()["commands"]
            assert len(after) == len(before)
            sent = [
                told(await session.call_tool("apply_command", {"plan": plan["plan"]}))["id"]
                for _ in range(2)
            ]
            assert sent[0] == sent[1]
            entry = newest(agent.deployed, "OperateDevice")
            assert entry["asked"]["context"]["via"] == "agent"
            assert entry["principal"].endswith(entry["claims"]["sub"])

    asyncio.run(scenario())


def test_a_rollout_is_planned_then_applied(agent: Terminal, press: str) -> None:
    """The service's own plan: an agent starts exactly it, and is told how it went."""

    async def scenario() -> None:
        async with tools(agent) as session:
            asked_for = {"artifact": "recipes/steel.json", "device": press}
            plan = told(await session.call_tool("plan_rollout", asked_for))
            assert [one["verdict"] for one in plan["devices"]] == ["allowed"]
            started = told(await session.call_tool("apply_rollout", {"plan": plan["id"]}))
            agent.deployed.watch(started["url"], lambda seen: seen["state"] == "succeeded")
            seen = told(await session.call_tool("get_rollout", {"rollout": started["id"]}))
            assert seen["state"] == "succeeded"

    asyncio.run(scenario())


def test_a_campaign_is_for_the_devices_of_its_plan(agent: Terminal, press: str) -> None:
    """By name, whoever joins meanwhile; begun once; a filter that was forgotten is refused."""

    async def scenario() -> None:
        async with tools(agent) as session:
            forgotten = await session.call_tool("plan_campaign", {"command": "reboot"})
            assert "say which devices" in refused(forgotten)
            asked_for = {"command": "reboot", "group": "line-press", "connected": True}
            plan = told(await session.call_tool("plan_campaign", asked_for))
            assert (plan["devices"], plan["denied"]) == ([press], [])
            other = await session.call_tool("apply_command", {"plan": plan["plan"]})
            assert "no such plan" in refused(other)
            begun = [
                told(await session.call_tool("apply_campaign", {"plan": plan["plan"]}))
                for _ in range(2)
            ]
            assert begun[0] == begun[1]
            agent.deployed.watch(begun[0]["url"], lambda seen: seen["state"] == "ended")
            seen = told(await session.call_tool("get_campaign", {"campaign": begun[0]["id"]}))
            assert [(one["device"], one["state"]) for one in seen["devices"]] == [
                (press, "succeeded")
            ]
            away = {"command": "reboot", "devices": ["press-01"]}
            plan = told(await session.call_tool("plan_campaign", away))
            begun = [told(await session.call_tool("apply_campaign", {"plan": plan["plan"]}))]
            cancel = told(
                await session.call_tool("plan_campaign_cancel", {"campaign": begun[0]["id"]})
            )
            await session.call_tool("apply_campaign_cancel", {"plan": cancel["plan"]})
            agent.deployed.watch(
                begun[0]["url"], lambda seen: seen["state"] == "canceled", seconds=120
            )

    asyncio.run(scenario())


def test_a_wanted_version_is_set_as_it_was_seen(agent: Terminal, tmp_path: Path) -> None:
    """Somebody else wants another between plan and apply: the plan is refused, and nothing lost."""
    file = tmp_path / "app.bin"
    file.write_bytes(b"a build of today")
    agent.as_person("managers")
    words = ("upload", str(file), "apps/agent.bin", "--package", "agent-app", "2.0", "--json")
    uploaded = json.loads(agent.run(*words).stdout)["id"]
    wish = "/v1/groups/line-press/wanted-versions/agent-app"
    about = {"group": "line-press", "package": "agent-app"}
    asked_for = {**about, "file": uploaded, "devices_per_hour": 60}

    def wanted(rate: int) -> None:
        """Somebody else wants it so."""
        body = {"file": uploaded, "devices_per_hour": rate}
        assert agent.deployed.call("PUT", wish, json=body).status_code == 200

    async def scenario() -> None:
        async with tools(agent) as session:
            plan = told(await session.call_tool("plan_wanted_version", asked_for))
            assert (plan["now"], plan["may"]["allowed"]) == (None, True)
            assert agent.deployed.call("GET", wish).status_code == 404
            wanted(30)
            stale = await session.call_tool("apply_wanted_version", {"plan": plan["plan"]})
            assert "plan it again" in refused(stale)
            plan = told(await session.call_tool("plan_wanted_version", asked_for))
            assert plan["now"]["wanted"]["devices_per_hour"] == 30
            wanted(40)
            stale = await session.call_tool("apply_wanted_version", {"plan": plan["plan"]})
            assert "precondition" in refused(stale)
            plan = told(await session.call_tool("plan_wanted_version", asked_for))
            for _ in range(2):
                applied = await session.call_tool("apply_wanted_version", {"plan": plan["plan"]})
                assert told(applied)["devices_per_hour"] == 60
            listed = told(await session.call_tool("get_wanted_versions", {"group": "line-press"}))
            assert "agent-app" in {one["package"] for one in listed["wanted_versions"]}
            end = told(await session.call_tool("plan_wanted_version_end", about))
            told(await session.call_tool("apply_wanted_version_end", {"plan": end["plan"]}))
            assert agent.deployed.call("GET", wish).status_code == 404

    asyncio.run(scenario())
