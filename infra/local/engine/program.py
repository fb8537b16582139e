"""Runs a Pulumi program in this process, against a monitor that is a plain object.

``Settings`` that take objects, ``configure``, ``set_all_config``, ``run_in_stack``: what the CLI's
own executor calls.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import threading
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

from google.protobuf import empty_pb2
from pulumi.runtime import (
    Settings,
    config,
    configure,
    resource,
    rpc_manager,
    run_in_stack,
    settings,
)
from pulumi.runtime.proto import engine_pb2, source_pb2

if TYPE_CHECKING:
    from pathlib import Path

    from infra.local.engine.project import StackConfig
    from infra.local.engine.run import Run

Program: TypeAlias = Callable[[], Any]
"""Declares resources; may be ``async``."""


def from_file(file: Path) -> Program:
    """Return the program in a file, executed as ``__main__`` on every call.

    It does not touch ``sys.path`` or the current folder, so several can run at once: the program's
    own modules must be importable, as they are in an installed project.
    """

    def program() -> None:
        code = compile(file.read_text(), str(file), "exec")
        # Running the program is the purpose.
        exec(code, {"__name__": "__main__", "__file__": str(file)})  # noqa: S102

    return program


# Where in the program each resource is declared: the SDK walks the whole stack for it, a tenth of
# the time that a stack takes, and this engine's monitor reads no position. Were the SDK's function
# called otherwise one day, stacks would take that tenth longer and be the same.
resource._get_stack_trace = source_pb2.StackTrace  # noqa: SLF001 - see above

# Of each request that fails the SDK tells its engine the traceback, for a log of debugging that
# this engine does not keep: half of the time that a refused program takes, as all that waits for
# what was not made fails too.
_UNTOLD = SimpleNamespace(**vars(traceback) | {"format_exc": str})
for _module in (resource, rpc_manager):
    vars(_module)["traceback"] = _UNTOLD


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a program may ask about the run."""

    project: str
    stack: str
    root: Path
    config: StackConfig
    parallel: int
    preview: bool


class _Log:
    """Pulumi's engine log: warnings and errors go to the run."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def Log(self, request: engine_pb2.LogRequest) -> empty_pb2.Empty:  # noqa: N802 - protocol's
        if request.severity == engine_pb2.WARNING:
            self._run.warn(request.message)
        return empty_pb2.Empty()


def execute(program: Program, monitor: object, run: Run, surroundings: Surroundings) -> None:
    """Run the program to its end, in a thread: a caller's event loop is not disturbed.

    Raises:
        KeyboardInterrupt: The operator interrupted; steps that were under way have ended.
        Exception: Whatever the program, the SDK or the monitor raised.
    """
    raised: list[BaseException] = []
    begun, given_up = threading.Event(), threading.Event()
    ended = threading.Event()  # in Python 3.11 an interrupted join() takes the thread for ended

    def body() -> None:
        begun.wait()
        if given_up.is_set():
            return
        try:
            contextvars.Context().run(_execute, program, monitor, run, surroundings)
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            _let_go(error)
            raised.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=body, name=f"pulumi-{surroundings.stack}")
    try:
        # Begun in here: a step may be under way before `start()` has come back.
        thread.start()
        begun.set()
        ended.wait()
    except KeyboardInterrupt:
        run.stop()
        if begun.is_set():
            ended.wait()  # steps that are under way end and are recorded
        else:
            given_up.set()
            begun.set()
        raise
    if raised:
        raise raised[0]


async def _to_its_end(program: Program) -> None:
    """Run the program, and await all that it began.

    The SDK would do that as well (``pulumi/runtime/stack.py``, ``wait_for_rpcs``), but looks at
    each output again whenever one of them is there: a fifth of all the time that a stack takes. It
    then finds them done, or raises as it always does what one of them has failed of.
    """
    begun = program()
    if inspect.isawaitable(begun):
        await begun
    sdk: Any = settings.SETTINGS  # its attributes are not typed
    while pending := [one for one in sdk.outputs if not one.done()]:
        done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_EXCEPTION)
        if any(one.cancelled() or one.exception() is not None for one in done):
            return


def _let_go(error: BaseException) -> None:
    """Free what the frames of a failed program hold, while ``_execute``'s filter covers it."""
    links, seen = [error], set[int]()
    while links:
        link = links.pop()
        if id(link) not in seen:  # the SDK raises some exceptions from themselves
            seen.add(id(link))
            traceback.clear_frames(link.__traceback__)
            links += [before for before in (link.__cause__, link.__context__) if before is not None]
    gc.collect()


def _execute(program: Program, monitor: object, run: Run, surroundings: Surroundings) -> None:
    # An Output whose first part failed never awaits its others (``StackReference.get_output``): the
    # SDK's, not news.
    warnings.filterwarnings(
        "ignore", message=r"coroutine 'Output\.\w+' was never awaited", category=RuntimeWarning
    )
    settings.ROOT.set(None)
    configure(
        Settings(
            project=surroundings.project,
            stack=surroundings.stack,
            monitor=monitor,
            engine=_Log(run),
            parallel=surroundings.parallel,
            dry_run=surroundings.preview,
            organization="organization",  # what Pulumi's own file backend calls it
            root_directory=str(surroundings.root),
        )
    )
    config.set_all_config(dict(surroundings.config.values), list(surroundings.config.secret_keys))
    loop = asyncio.new_event_loop()
    # Tasks that a failure leaves behind; it is reported once.
    loop.set_exception_handler(lambda _loop, _context: None)
    loop.set_default_executor(
        ThreadPoolExecutor(surroundings.parallel, thread_name_prefix="pulumi-step")
    )
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(run_in_stack(lambda: _to_its_end(program)))
    finally:
        while tasks := asyncio.all_tasks(loop):  # a cancelled task of the SDK may start others
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.wait(tasks))
        # Steps that are under way end and are recorded.
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        asyncio.set_event_loop(None)
