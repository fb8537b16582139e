"""A real Chromium for tests and benchmarks, if this machine has one."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Generator

    from playwright.sync_api import Browser

CHROMIUM: Final = shutil.which("chromium-headless-shell") or shutil.which("chromium")
NO_CHROMIUM: Final = "no Chromium: `make packages` installs it (Debian: chromium-headless-shell)"


@contextmanager
def browser() -> Generator[Browser]:
    """A browser without a window.

    As root, as CI runs, Chromium has no sandbox; it opens loopback alone.
    """
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()
