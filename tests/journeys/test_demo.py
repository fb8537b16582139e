"""`make demo`, as a user runs it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.cloud.rights import FILE
from infra.policies.proofs.asking import NoProver, prover_of
from tests.infra.test_rights import told_used
from tests.rights import used_by

CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")
ROOT = Path(__file__).parents[2]
PROVED = (
    "the sampled comparison ran instead"
    if isinstance(prover_of(ROOT), NoProver)
    else "no request crosses tenants: proved"
)


def test_demo_help_explains_it_instead_of_running_it() -> None:
    """`--help` says what the demo does and ends at once."""
    done = subprocess.run(
        [sys.executable, "-m", "infra.local.demo", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.startswith("usage: python -m infra.local.demo")
    assert "Exit code 0 only if every step truly happened" in done.stdout


@pytest.mark.timeout(420)  # a wave of a rollout waits for a timer's minute
def test_demo_takes_every_step_and_ends_by_itself(tmp_path: Path) -> None:
    """Every step of the main job happens; the exit code says so. Rights are seen used."""
    done = subprocess.run(
        [sys.executable, "-m", "infra.local.demo"],
        cwd=ROOT,
        env={
            **os.environ,
            "CEDARFLEET_AWS_PACE": "1",  # as users run it
            FILE: str(tmp_path / "rights"),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    for printed in (
        "AWS's quotas, rates and delays hold",
        "only recorded, not made here",
        "identical (SHA-256)",
        "403, decided by `operators-view-only`",
        "acme: succeeded",
        "acme's token at globex's policy store: refused",
        "403, decided by `firmware-in-maintenance-window`",
        "lacks: an emergency is declared; a reason is given",
        "what if an emergency were declared: allowed",
        "recorded decisions would flip",
        "nothing has changed: it still is allowed",
        PROVED,
        "the button is off, and says why" if CHROMIUM else "no Chromium here",
        "tag building:7, in line-press, zone-hall-1: found by both",
        "said what runs on it: firmware 1.0.0",
        "read as a whole by the worker: available",
        "kim@acme.example signs in: technicians",
        "after the end, not before",
        "though the token has not run out",
        "the second gets one, and it is good",
        "of 2 devices denied by `firmware-in-maintenance-window`",
        "decided again for who began it",
        "verified: ",
        "NOT VERIFIED",
        "run-diagnostics for line-press, each decided by itself",
        "drift: aws:s3/bucketVersioning:BucketVersioning",
        "s after the command",
        "acme notices nothing",
        ", 0 left",
        "was brought to it: ['succeeded']",
        "All 39 steps happened",
    ):
        assert printed in done.stdout
    used, told = used_by((tmp_path / "rights").read_text().splitlines()), told_used()
    assert used.keys() >= {"service", "worker", "tenant", "presign"}
    # Of what docs/rights.md calls used; the rest is used in tests of the service. What a failure
    # alone asks for (a message put back) may come or not.
    assert sum(len(used[kind] & told[kind]) for kind in used.keys() & told) > 25
