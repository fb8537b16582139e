"""What somebody presses on the pages of the console, and how soon each shows what it is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from tests.service.large_fleet import FILE, NUMBER, LargeFleet, device_id

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

DESKTOP: Final[ViewportSize] = {"width": 1280, "height": 800}
# Presses or types, and says how many milliseconds later the page shows what it is about: its
# heading, no placeholder, and what is sought. Looked at in each frame that is drawn.
_ACT: Final = """async ({press, type, title, sought}) => {
  const begun = performance.now();
  const pressed = document.querySelector(press);
  if (type === null) pressed.click();
  else {
    pressed.value = type;
    pressed.form.requestSubmit();
  }
  for (;;) {
    await new Promise(requestAnimationFrame);
    const took = performance.now() - begun;
    const [place, text] = sought;
    const shown = [...document.querySelectorAll(place)];
    if (document.querySelector("h1")?.textContent === title && !document.querySelector(".loading")
      && shown.some((one) => one.textContent.includes(text))) return took;
    if (took > 60000) throw new Error(`${title} does not show ${text} in ${place}`);
  }
}"""


@dataclass(frozen=True, kw_only=True)
class Act:
    """One thing that somebody does.

    Attributes:
        press: what, as a selector.
        title: the heading of the page that then is there.
        place: a selector of where it shows what was asked for.
        text: that stands there.
        type: text that is put into ``press`` and sent, instead of a click.
    """

    press: str
    title: str
    place: str = "main"
    text: str = ""
    type: str | None = None

    @property
    def name(self) -> str:
        """What is done, for a table of figures."""
        how = (
            f"search {self.type!r}" if self.type else f"open {self.text!r}" if self.text else "open"
        )
        return f"{self.title}: {how}"


def to(section: str, title: str, place: str = "main", text: str = "") -> Act:
    """Go to a page by the navigation."""
    link = f'nav[aria-label="Pages"] a[href$="/{section}"]'
    return Act(press=link, title=title, place=place, text=text)


ACTS: Final = (
    to("devices", "Devices", "tbody td", device_id(0)),
    Act(press=".pages a:last-child", title="Devices", place="tbody td", text=device_id(100)),
    Act(
        press="#text",
        title="Devices",
        place="tbody td",
        text=device_id(NUMBER - 1),
        type=device_id(NUMBER - 1),
    ),
    Act(press="#text", title="Devices", place="tbody td", text=device_id(7), type="hall 7"),
    Act(press="tbody tr:nth-child(2) a", title=device_id(47), place=".facts dd", text="press"),
    to("overview", "Overview", ".figures b", "100+"),
    to("activity", "Activity", "tbody td", "reboot"),
    to("groups", "Groups", "tbody td", "hall-7"),
    Act(press='tbody a[href$="hall-7"]', title="hall-7", place=".facts dd", text="which they are"),
    to("downloads", "Downloads", "tbody td", FILE),
    Act(press="tbody tr a", title="Download", place=".facts dd", text=FILE),
    to("commands", "Commands", "tbody td", "reboot"),
    Act(press="tbody tr a", title="run-diagnostics", place=".facts dd", text="press-"),
    to("files", "Files"),
    to("people", "People"),
    to("permissions", "Who may do what", "tbody td", device_id(0)),
    to("grants", "Grants"),
    to("machines", "Machines"),
    to("audit", "Audit", "tbody td", "operate device"),
)
"""On every page; the last device of all is looked for by its id, a tag in a fortieth of them."""


@dataclass
class Watched:
    """A tab whose requests are counted.

    Attributes:
        page: the tab.
        requests: that were answered.
        bytes: that came over the line, heads and packed bodies.
    """

    page: Page
    requests: int = 0
    bytes: int = 0
    paths: list[str] = field(default_factory=list[str])

    @classmethod
    def of(cls, browser: Browser, fleet: LargeFleet, *, group: str | None = "managers") -> Self:
        """A new window with nothing kept; ``None``: nobody is signed in there."""
        window = browser.new_context(viewport=DESKTOP)
        if group is not None:
            fleet.sign_in(window, group)
        watched = cls(window.new_page())
        network = window.new_cdp_session(watched.page)
        network.send("Network.enable")
        network.on("Network.loadingFinished", watched._ended)
        watched.page.on("request", lambda one: watched.paths.append(one.url))
        return watched

    def act(self, act: Act) -> float:
        """Do it; seconds until the page shows what it is about."""
        asked = {
            "press": act.press,
            "type": act.type,
            "title": act.title,
            "sought": [act.place, act.text],
        }
        return float(self.page.evaluate(_ACT, asked)) / 1000

    def close(self) -> None:
        """Close the window."""
        self.page.context.close()

    def _ended(self, told: dict[str, Any]) -> None:
        self.requests += 1
        self.bytes += int(told["encodedDataLength"])
