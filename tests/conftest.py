"""Fixtures of the whole suite: the embedded cloud of a test process, faults and seeds.

A test of random faults proves more, the more of them there are. ``make test`` makes a bounded
number, ``make soak`` (``--soak``) the full one; either way the number that ran is told at the end.

Property tests have one seed for the whole run: a new one, or that of ``CEDARFLEET_SEED``. It stands
in the report of each that fails.
"""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, Phase, is_hypothesis_test, settings

from tests.authorities import know_no_authorities
from tests.scheduling import Scheduling, rank
from tests.seed import given_or_new
from tests.soak import SoFar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from infra.local.cloud import EmbeddedCloud

# Tests of other things meet no rate and wait for no delay of AWS; those of the limits set the pace
# themselves, and the journeys run at AWS's own.
os.environ.setdefault("CEDARFLEET_AWS_PACE", "1000000")

_SOAK_EXAMPLES: Final = 2000  # of each property test that is run for long
_SOAK_SECONDS: Final = 1200
_SEED: Final = "--hypothesis-seed"
# A worker soon holds half a million objects that live as long as itself (the Pulumi program's SDK,
# Cedar's schemas): by the default each 70,000 new ones have all of them searched again, which was a
# fifth of the suite's CPU.
_COLLECTED_AFTER: Final = (50_000, 20, 50)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--soak``."""
    parser.addoption(
        "--soak", action="store_true", help="make the full number of faults (`make soak`)"
    )


@pytest.hookimpl(tryfirst=True)  # before Hypothesis reads its option
def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, property tests repeatable, and long where that is asked for."""
    gc.set_threshold(*_COLLECTED_AFTER)
    if not hasattr(config, "workerinput"):
        know_no_authorities(config)
    if config.getoption(_SEED) is None:
        # Workers of xdist get the options of the first process, and with them its seed.
        config.option.hypothesis_seed = str(given_or_new())
    config.addinivalue_line(
        "markers", "soak(seconds=1200): makes more faults with --soak, in so many seconds at most"
    )
    # No test asserts how fast the machine is: speed is measured in `make bench`.
    unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("tests", unhurried)
    settings.register_profile("soak", unhurried, max_examples=_SOAK_EXAMPLES)
    # `make mutants` asks whether a test fails, not how it does in the fewest words.
    found = [phase for phase in Phase if phase not in (Phase.shrink, Phase.explain)]
    settings.register_profile("unshrunk", unhurried, phases=found)
    settings.load_profile("soak" if config.getoption("--soak") else "tests")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    """Schedule by module and by what modules share, unless another way is asked for."""
    return Scheduling(config, log) if config.getoption("dist") == "loadscope" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest, and give what is run for long the time for it."""
    items.sort(key=lambda item: rank(item.nodeid))
    if config.getoption("--soak"):
        for item in items:
            if (soak := item.get_closest_marker("soak")) is not None:
                # In front of the test's own limit, which suits the bounded number.
                seconds = soak.kwargs.get("seconds", _SOAK_SECONDS)
                item.add_marker(pytest.mark.timeout(seconds), append=False)


def pytest_collection_finish() -> None:
    """Leave out of each later collection what collecting the tests has imported.

    With the little that is garbage by now: to search for it takes two seconds in each process.
    """
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say with which seed a property test fails again."""
    report = yield
    if report.failed and is_hypothesis_test(getattr(item, "obj", None)):
        report.sections.append(("seed", f"CEDARFLEET_SEED={item.config.getoption(_SEED)}"))
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say how many faults were made."""
    made = [
        (report.nodeid.rpartition("::")[2], value)
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for name, value in getattr(report, "user_properties", ())
        if name == "faults"
    ]
    if made:
        full = config.getoption("--soak")
        terminalreporter.section("full faults" if full else "bounded faults (`make soak`: all)")
        for test, faults in made:
            terminalreporter.write_line(f"{test}: {faults}")


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """How many faults to make: called with a bounded number and the full one."""
    full = bool(request.config.getoption("--soak"))
    return lambda bounded, of: of if full else bounded


@pytest.fixture
def so_far(request: pytest.FixtureRequest) -> Iterator[SoFar]:
    """Takes a line of what a long run has done: in ``.cedarfleet/soak/``, with ``--soak``."""
    full = bool(request.config.getoption("--soak"))
    told = SoFar(
        request.config.rootpath / ".cedarfleet" / "soak" if full else None, request.node.name
    )
    yield told
    told.close()


@pytest.fixture(scope="session")
def embedded_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCloud]:
    """A running cloud on free ports, shared by all tests of this process.

    Name things so that tests do not meet.
    """
    # half a second that only its users should pay
    from infra.local.cloud import EmbeddedCloud  # noqa: PLC0415 - see above

    with EmbeddedCloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud
