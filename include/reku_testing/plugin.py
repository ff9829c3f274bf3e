"""How a test run works, as a plugin of pytest (docs/testing.md): order, workers, their server, what must not be left.

Loaded by `-p` in pyproject.toml, because it must be there before conftest.py is read.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reku.foundation.errors import SetupError
from reku.foundation.settings import settings
from reku_testing import leftovers
from reku_testing.touched import touched

if TYPE_CHECKING:  # what has to do with the database takes seconds to import, and many a run needs none
    from reku.runtime.postgres import Postgres

_COSTS = ("e2e", "airflow", "processes", "gx", "database")
"""Marks in the order in which their tests are handed out: what takes longest first, so that no worker waits for it."""

_TOGETHER = {
    "e2e": ("tests/e2e/",),
    "airflow": ("tests/orchestration/", "tests/dags/", "tests/bench/test_parse.py"),
}
"""Files that go to one worker: two set-ups of Airflow at once would take each other's time, and Airflow's tables in a
process are made once. (xdist's own groups do nothing with pytest 9.2: they rename tests where pytest no longer looks.)
"""

sys.dont_write_bytecode = False  # compiling every import anew takes each process of a test seconds
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # `nohup … &` ignores Ctrl-C, and every program that a test starts would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)  # without xdist nobody asks
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """How xdist hands out tests: a file goes to one worker as a whole, so that what its tests share is made once."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc] # xdist comes without types
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid) or super()._split_scope(nodeid)

        def remove_node(self, node: Any) -> str | None:
            """A test that ended its worker has failed; xdist would hand it to the next worker, and so for ever."""
            work = self.assigned_work[node]
            ended = next(((unit, test) for unit in work.values() for test, done in unit.items() if not done), None)
            if ended is None:
                return super().remove_node(node)  # type: ignore[no-any-return] # xdist comes without types
            unit, test = ended
            unit[test] = True
            super().remove_node(node)
            return str(test)

        def _reschedule(self, node: Any) -> None:
            """A worker begins a test only when it knows the next one, or that there is none."""
            super()._reschedule(node)
            if self._pending_of(self.assigned_work[node]) == 1:
                super()._reschedule(node)

    config.option.loadscopereorder = False  # the order is that of `pytest_collection_modifyitems`
    return Scheduling(config, log)


def _group(nodeid: str) -> str | None:
    """What the file of a test has to share with other files."""
    return next((mark for mark, files in _TOGETHER.items() if nodeid.startswith(files)), None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--touched` is what `make check` runs; `--shuffle` shows that no test needs another one before it."""
    parser.addoption("--shuffle", metavar="SEED", help="files in random order, and the tests of each file")
    parser.addoption(
        "--touched",
        action="store_true",
        help="only tests without database, processes and Great Expectations, and those of what differs from main",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what needs the database, gather what shares an Airflow, and put the most expensive files first."""
    cheapest = len(_COSTS)
    ranks: dict[Path, float] = {}
    for item in items:
        if "postgres" in getattr(item, "fixturenames", ()):
            item.add_marker("database")
        for mark in _TOGETHER:
            if item.get_closest_marker(mark) and _group(item.nodeid) != mark:
                raise pytest.UsageError(
                    f"{item.nodeid} is marked {mark}: its file must stand in {__file__}, _TOGETHER."
                )
        rank = next((rank for rank, mark in enumerate(_COSTS) if item.get_closest_marker(mark)), cheapest)
        ranks[item.path] = min(rank, ranks.get(item.path, cheapest))
    if (seed := config.getoption("shuffle")) is not None:
        draw = random.Random(seed)  # noqa: S311 - an order, no secret
        draw.shuffle(items)
        ranks = {file: draw.random() for file in sorted(ranks)}
    items.sort(key=lambda item: ranks[item.path])
    if config.getoption("touched"):
        _keep_touched(config, items)


def _keep_touched(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep quick tests, of touched rooms those without processes as well, and those that are meant."""
    changed = touched(config.rootpath)

    def is_kept(item: pytest.Item) -> bool:
        costs = {mark for mark in _COSTS if item.get_closest_marker(mark)}
        file = item.path.relative_to(config.rootpath)
        return not costs or (costs <= {"database", "gx"} and changed.is_in_room(file)) or changed.is_meant(file)

    config.hook.pytest_deselected(items=[item for item in items if not is_kept(item)])
    items[:] = [item for item in items if is_kept(item)]


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _hands_out(config: pytest.Config) -> bool:
    return not _is_worker(config) and bool(config.getoption("tx", None))


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start the server of all workers, while they collect."""
    config = session.config
    if not _hands_out(config) or config.option.collectonly:
        return
    from reku_testing.postgres import serving

    stack = ExitStack()
    config.add_cleanup(stack.close)
    try:
        stack.enter_context(serving(_folder(config)))
    except SetupError as error:
        pytest.exit(str(error), returncode=1)


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """A real PostgreSQL, one for the whole run, on a socket of its own."""
    from reku_testing.postgres import of_run, serving

    folder = _folder(request.config)
    if _is_worker(request.config):
        yield of_run(folder)
        return
    with serving(folder) as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """The run fails if a test leaves a process, a server, a thread or a file in the checkout."""
    watch = leftovers.Watch(request.config.rootpath)
    yield
    if left := watch.left():
        pytest.fail("tests left something behind:\n" + "\n".join(left), pytrace=False)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """The next test reads its settings anew: this one may have changed the environment."""
    settings.cache_clear()


def _folder(config: pytest.Config) -> Path:
    """The temporary folder of the whole run."""
    factory: pytest.TempPathFactory = config._tmp_path_factory  # type: ignore[attr-defined] # no public name for it
    base = factory.getbasetemp()
    return base.parent if _is_worker(config) else base
