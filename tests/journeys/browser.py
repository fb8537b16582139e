"""A browser of somebody who signs in: ``BROWSER`` of the environment, for ``webbrowser``.

``python -m tests.journeys.browser URL`` fills in the form of the tenant's sign-in page, as the
person of ``CEDARFLEET_TEST_EMAIL`` and ``CEDARFLEET_TEST_PASSWORD``, and goes where it is sent.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Final

import httpx

_INPUT: Final = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


def main(url: str) -> int:
    """0 once the program that began the sign-in has answered."""
    with httpx.Client(timeout=60, trust_env=False) as browser:
        form = browser.get(url)
        known = {
            "username": os.environ["CEDARFLEET_TEST_EMAIL"],
            "password": os.environ["CEDARFLEET_TEST_PASSWORD"],
        }
        hidden = dict(_INPUT.findall(form.text))
        sent = browser.post(form.url.join("/login"), data={**hidden, **known})
        return 0 if browser.get(sent.headers["location"]).is_success else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
