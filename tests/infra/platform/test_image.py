"""The service's image installs what the service imports, and nothing of Pulumi or the embedded cloud."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "service" / "Dockerfile").read_text()
ABSENT = ("pulumi", "pulumi_aws", "cedarpy", "ministack", "hypercorn", "infra", "rich")


def test_the_service_starts_without_what_the_image_leaves_out() -> None:
    """With those packages blocked, the composition root still imports."""
    program = f"import sys; sys.modules.update(dict.fromkeys({ABSENT!r})); import service.main, service.__main__"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_each_package_of_the_image_has_a_locked_version() -> None:
    """What pip is told to install stands in the lock, which the image uses as its list of versions."""
    command = re.search(r"--constraint versions\.txt \\\n\s+(.+)", DOCKERFILE)
    assert command is not None
    wanted = [word.strip("'").partition("[")[0] for word in command[1].split()]
    locked = {line.partition("==")[0].lower() for line in (ROOT / "requirements.lock").read_text().splitlines()}

    assert "./device_sdk" in wanted
    assert {name for name in wanted if not name.startswith("./")} <= locked


def test_the_image_does_not_run_as_root() -> None:
    """The last user named is a number that is not 0, as ECS and Kubernetes check it."""
    users = re.findall(r"^USER (\S+)", DOCKERFILE, flags=re.MULTILINE)
    assert users
    assert int(users[-1]) > 0
