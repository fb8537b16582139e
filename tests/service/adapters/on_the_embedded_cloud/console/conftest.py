"""A real Chromium, and people of two tenants who open their consoles in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from infra.local.console import console_url
from tests.service.adapters.on_the_embedded_cloud.real_agents import RealAgents
from tests.service.browser import CHROMIUM, NO_CHROMIUM, browser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.local.people import Person
    from tests.service.adapters.on_the_embedded_cloud.conftest import DeployedService

DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 800}
_LONGEST_MS: Final = 15_000


@dataclass
class Visitor:
    """A window of somebody's browser; what its console tells of errors is kept.

    Attributes:
        window: with storage of its own.
        page: the tab.
        url: of the tenant's console.
        deployed: the service behind it.
        wrong: errors of scripts, and what the content policy has refused.
    """

    window: BrowserContext
    page: Page
    url: str
    deployed: DeployedService
    wrong: list[str] = field(default_factory=list[str])

    def watch(self, page: Page) -> None:
        """Keep what goes wrong in a tab."""
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", lambda said: self._refused(said.text))
        page.on("dialog", lambda dialog: self.wrong.append(f"a dialog: {dialog.message}"))

    def _refused(self, said: str) -> None:
        if "Content Security Policy" in said:
            self.wrong.append(said)

    def open(self, path: str) -> Page:
        """Open a page of the console."""
        self.page.goto(self.url + path)
        return self.page

    def sign_in(self, group: str, tenant: str = "acme") -> Page:
        """Sign in on the tenant's page as somebody of a group, and come back."""
        return self.sign_in_as(self.deployed.people[tenant][group])

    def sign_in_as(self, person: Person) -> Page:
        """Sign in on the tenant's page, and come back."""
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_label("Username").fill(person.email)
        self.page.get_by_label("Password").fill(person.password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("button", name="Sign out").wait_for()
        return self.page

    def heading(self) -> str:
        """What the page says that it is."""
        return self.page.get_by_role("heading", level=1).inner_text()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all of a file; it ends with it, as its loop would meet those of others.

    Without `__init__.py` a fixture of the package would live as long as the session.
    """
    if CHROMIUM is None:
        pytest.skip(NO_CHROMIUM)
    expect.set_options(timeout=_LONGEST_MS)
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def consoles(deployed: DeployedService) -> dict[str, str]:
    """Tenant -> where its console is."""
    api = str(deployed.http.base_url)
    for tenant in ("acme", "globex"):
        assert deployed.setup.open_console(tenant, api=api) == console_url(tenant, api=api)
    return {tenant: console_url(tenant, api=api) for tenant in ("acme", "globex")}


@pytest.fixture
def visit(
    chromium: Browser, consoles: dict[str, str], deployed: DeployedService
) -> Iterator[Callable[..., Visitor]]:
    """A new window on a tenant's console; in the end no script of any has failed."""
    visitors: list[Visitor] = []

    def visit(tenant: str = "acme") -> Visitor:
        context = chromium.new_context(viewport=DESKTOP)
        context.set_default_timeout(_LONGEST_MS)
        visitor = Visitor(context, context.new_page(), consoles[tenant], deployed)
        visitor.watch(visitor.page)
        visitors.append(visitor)
        return visitor

    yield visit
    for visitor in visitors:
        visitor.window.close()
    assert [visitor.wrong for visitor in visitors if visitor.wrong] == []


@pytest.fixture(scope="module")
def press(
    deployed: DeployedService, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealAgents]:
    """Acme's `press-01`, connected, with a real agent."""
    agents = RealAgents(deployed.setup.cloud, ["press-01"], tmp_path_factory.mktemp("press"))
    agents.start()
    yield agents
    agents.stop()
