"""The last act: both personas do the walkthrough in a real Chromium, on the console's own pages."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from infra.local.setup import RECIPE

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from playwright.sync_api import Browser, Page, ViewportSize

    from infra.local.demo.preparation import DemoRun
    from infra.local.demo.report import Step
    from infra.local.people import Person

CHROMIUM: Final = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_LONGEST_MS: Final = 30_000
_SIZE: Final[ViewportSize] = {"width": 1120, "height": 700}


def console_is_walked(run: DemoRun) -> None:
    """A manager presses Download File and watches it arrive; an operator reads why not."""
    with run.report.step("the same in a browser: the console") as step:
        url = run.setup.open_console("acme", api=run.url)
        with _chromium() as browser:
            if browser is None:
                step.checks.append(
                    f"no Chromium here (Debian: apt install chromium), so not done: {url}"
                )
                return
            _manager_downloads(run, step, browser, url)
            _operator_is_refused(run, step, browser, url)


def _manager_downloads(run: DemoRun, step: Step, browser: Browser, url: str) -> None:
    person, device = run.people["acme"]["managers"], run.devices["acme"].device
    with _signed_in(browser, url, person) as page:
        link = page.get_by_role("link", name=device)
        step.check(link.count() == 1, f"{person.email} signs in and sees {device}")
        link.click()
        page.get_by_role("button", name="Download File").click()
        page.get_by_label("File", exact=True).fill(RECIPE)
        page.get_by_role("button", name="Download File").click()
        page.get_by_role("button", name="Start for 1 of 1").click()
        row = page.get_by_role("row", name=device).filter(has_text="succeeded")
        row.wait_for()
        step.check(row.count() == 1, f"Download File, Start: {RECIPE} arrives on {device}, live")
        _picture(page, run.pictures, "download")


def _operator_is_refused(run: DemoRun, step: Step, browser: Browser, url: str) -> None:
    person = run.people["acme"]["operators"]
    with _signed_in(browser, url, person) as page:
        page.get_by_role("link", name=run.devices["acme"].device).click()
        action = page.get_by_role("listitem").filter(has_text="Download File")
        action.get_by_text("operators-view-only").wait_for()
        button = action.get_by_role("button", name="Download File")
        step.check(button.is_disabled(), f"{person.email}: the button is off, and says why")
        _picture(page, run.pictures, "refusal")


@contextmanager
def _chromium() -> Generator[Browser | None]:
    """A browser without a window; ``None``: there is none on this machine."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        yield None
        return
    # Half a second that only this act should pay.
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - see above

    with sync_playwright() as playwright:
        # As root Chromium has no sandbox; it opens loopback alone.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def _signed_in(browser: Browser, url: str, person: Person) -> Generator[Page]:
    """The console in a window of its own, signed in on the tenant's page."""
    window = browser.new_context(viewport=_SIZE, color_scheme="light")
    window.set_default_timeout(_LONGEST_MS)
    page = window.new_page()
    page.goto(f"{url}devices")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Username").fill(person.email)
    page.get_by_label("Password").fill(person.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("table").first.wait_for()
    yield page
    window.close()


def _picture(page: Page, pictures: Path | None, name: str) -> None:
    """Keep what the page shows, for who asked for pictures (`make pictures`)."""
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        page.mouse.move(0, 0)
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=pictures / f"console-{name}.png")
