"""The container file, as far as it can be checked without a container: nothing is built here."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import cedarfleet_device
import pytest

SDK = Path(cedarfleet_device.__file__).parents[2]
TEXT = (SDK / "Containerfile").read_text()
MANIFEST = tomllib.loads((SDK / "pyproject.toml").read_text())["project"]


def said(instruction: str) -> list[str]:
    """What stands behind each instruction of this name, its continued lines joined."""
    joined = re.sub(r"\\\n", " ", "\n".join(x for x in TEXT.splitlines() if not x.startswith("#")))
    return re.findall(rf"^{instruction} (.+)$", joined, flags=re.MULTILINE)


def test_it_installs_the_wheel_that_make_wheel_makes():
    """The name fits, it is what reaches the build, and nothing is compiled."""
    (copied,) = said("COPY")
    pattern = copied.split()[0]
    wheel = f"dist/{MANIFEST['name'].replace('-', '_')}-{MANIFEST['version']}-py3-none-any.whl"
    assert fnmatch.fnmatch(wheel, pattern)
    let_in = (SDK / "Containerfile.dockerignore").read_text().splitlines()
    assert f"!{pattern}" in let_in
    (run,) = said("RUN")
    assert "--only-binary :all:" in run
    assert MANIFEST["requires-python"] == ">=3.10"
    (image,) = said("ARG")
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.1[0-9]-slim", image)


def test_it_runs_as_nobody_in_particular_and_keeps_its_state():
    """Not root; what must survive is in the one volume, which is also where it begins."""
    assert said("USER") == ["10001"]
    assert said("VOLUME") == said("WORKDIR") == ["/var/lib/cedarfleet"]


@pytest.mark.parametrize("instruction", ["HEALTHCHECK", "CMD"])
def test_what_it_calls_is_there(tmp_path: Path, instruction: str):
    """The program exists, takes these words, and says what it lacks without a configuration."""
    (entry,) = (json.loads(each) for each in said("ENTRYPOINT"))
    assert entry[0] in MANIFEST["scripts"]
    (line,) = said(instruction)
    words = json.loads(line[line.index("[") :])
    given = words[1:] if words[0] == entry[0] else words
    done = subprocess.run(
        [sys.executable, "-m", "cedarfleet_device", *given],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "cedarfleet-device: `device.toml` cannot be read: No such file or directory\n"
    )
