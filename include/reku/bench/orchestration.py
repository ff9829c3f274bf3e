"""Stage "orchestration": what Airflow costs. One occasion with many banks from trigger to report, and the idle set-up.

The embedded set-up runs in processes of its own, as `reku up` starts it, with the mail server of the simulator.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from reku.bench import parse
from reku.bench.render import configuration
from reku.foundation import clock
from reku.foundation.errors import SetupError
from reku.foundation.settings import settings
from reku.process.intake import take_in
from reku.runtime import processes, up
from reku.runtime.airflow_api import ENDED, AirflowApi
from reku.runtime.home import Home
from reku.runtime.ports import LOOPBACK
from reku.runtime.supervisor import Supervisor, stop_signals
from reku.store.engine import engine
from reku_testing import bank_files
from reku_testing.ports import free_port
from reku_testing.throwaway import delete

PEOPLE = 20
"""Of each bank's delivery."""
DAG = "reku_mcag002"
KEPT_BUSY = ("reku_intake", "reku_collect", "reku_alarms")
"""DAGs that run every few minutes, whatever there is to do."""
ALL_BANKS_SECONDS, CHAIN_SECONDS, IDLE_SHARE = 360.0, 15.0, 0.15
"""Fifty banks through one occasion; one chain beyond its own work; CPU of the idle set-up, of one core."""
LONGEST = 3600.0
"""Seconds after which a run is given up."""
IDLE_FOR = 60.0
_LOOK_EVERY = 2.0
_BANK = """\
blz: "{blz}"
name: Messbank {blz}
core_system: osplus
state: NW
interface_active_from: 2025-01-01
sender:
  name: Messbank
  address: service@messbank.example
  domains: [messbank.example]
send_until: 23:59
colours: {{primary: "#CC0000"}}
imprint: Messbank, Marktplatz 1, 99999 Musterstadt
campaigns:
  - order: {order}
    name: Runde Geburtstage
    active: true
    blocks:
      - {{block: start, list: {order}}}
      - {{block: wait, until: 00:00}}
      - {{block: send, media: [SCOM_GEBURTSTAG]}}
"""


@dataclass(frozen=True)
class RunFigures:
    """One run of the occasion: seconds from trigger to its end, its tasks, and CPU seconds of all processes meanwhile.

    `before` and `inside`: seconds a task of this name waited after the one before it, and took itself.
    """

    seconds: float
    tasks: int
    cpu: float
    before: Mapping[str, Sequence[float]]
    inside: Mapping[str, Sequence[float]]

    @property
    def between(self) -> float:
        """Seconds of an order's chain that are nobody's work: the medians of all waits before its tasks, in all."""
        return sum(statistics.median(waits) for waits in self.before.values() if waits)


def measure(rounds: int, banks: int) -> list[dict[str, Any]]:
    """The figures of this stage; `rounds`: of the parsing. Raises SetupError if a run does not come through."""
    figures = [parse.measure(rounds) | {"stage": "orchestration"}]
    numbers = [f"9999{number:04d}" for number in range(1, banks + 1)]
    with _running(numbers) as there:
        one = there.run(numbers[:1], delivery=1)
        many = there.run(numbers, delivery=2)
        memory, idle = there.memory(), there.idle()
    return figures + _rows(banks, one, many, memory, idle)


def _rows(banks: int, one: RunFigures, many: RunFigures, memory: float, idle: float) -> list[dict[str, Any]]:
    def row(what: str, against: str, ratio: float | None, at_least: float | None, rows: int) -> dict[str, Any]:
        shown = None if ratio is None else round(ratio, 2)
        return {
            "stage": "orchestration",
            "what": what,
            "against": against,
            "ratio": shown,
            "at_least": at_least,
            "rounds": 1,
            "rows": rows,
        }

    hops = ", ".join(
        f"{name} {statistics.median(many.before[name]):.1f}+{statistics.median(many.inside[name]):.1f}"
        for name in many.inside
        if many.before[name]
    )
    per_minute = many.tasks / many.seconds * 60
    return [
        row(
            f"{banks} banks through one occasion, {PEOPLE} people each, from trigger to report: {many.seconds:.0f} s, "
            f"{many.cpu:.0f} s of CPU",
            f"{ALL_BANKS_SECONDS:.0f} s",
            ALL_BANKS_SECONDS / many.seconds,
            1.0,
            banks,
        ),
        row(
            f"one order's chain between its tasks: {one.between:.1f} s of {one.seconds:.1f} s",
            f"{CHAIN_SECONDS:.0f} s",
            CHAIN_SECONDS / max(one.between, 0.1),
            1.0,
            1,
        ),
        row(f"of {banks} banks: {per_minute:.0f} tasks a minute", "–", None, None, many.tasks),
        row(f"of {banks} banks, a hop, s before it + in it: {hops}", "–", None, None, many.tasks),
        row(f"memory of all processes afterwards: {memory / 2**20:.0f} MiB (PSS)", "–", None, None, banks),
        row(f"idle set-up: {idle:.1%} of a core", f"{IDLE_SHARE:.0%} of a core", IDLE_SHARE / idle, 1.0, 1),
    ]


@dataclass(frozen=True)
class _SetUp:
    here: Home
    api: AirflowApi

    def run(self, banks: Sequence[str], *, delivery: int) -> RunFigures:
        """Let these banks deliver, and do the day's work."""
        for blz in banks:
            if delivery == 1 or blz != banks[0]:
                bank_files.order(blz)
            bank_files.deliver(delivery, _people(delivery), blz)
            taken = take_in(engine(), blz)
            if taken.problems or not taken.counts:
                raise SetupError(f"The delivery of {blz} was not taken in: {taken}")
        name, cpu, begun = f"bench_{delivery}", self.cpu(), time.time()
        self.api.trigger(DAG, name)
        while self.api.state(DAG, name) not in ENDED:
            if time.time() - begun > LONGEST:
                raise SetupError(f"The run has not ended within {LONGEST:.0f} s.")
            time.sleep(_LOOK_EVERY)
        cpu = self.cpu() - cpu
        tasks = self.api.tasks(DAG, name)
        if bad := [task for task in tasks if task["state"] != "success"]:
            first = bad[0]
            raise SetupError(f"{len(bad)} of {len(tasks)} tasks failed, such as {first['task_id']}: {first['state']}.")
        return _figures(tasks, datetime.fromtimestamp(begun).astimezone(), cpu)

    def cpu(self) -> float:
        """CPU seconds of all processes of the set-up until now, with those that have ended."""
        return sum(sum(process.cpu_times()[:4]) for process in self._processes())

    def memory(self) -> float:
        """Bytes of memory in use, what is shared counted once (PSS)."""
        return sum(process.memory_full_info().pss for process in self._processes())

    def idle(self) -> float:
        """Share of a core that the set-up takes while nothing is to be done."""
        time.sleep(IDLE_FOR / 4)
        begun, cpu = time.monotonic(), self.cpu()
        time.sleep(IDLE_FOR)
        return (self.cpu() - cpu) / (time.monotonic() - begun)

    def _processes(self) -> list[psutil.Process]:
        ours = psutil.Process()
        return [one for one in processes.with_descendants(processes.marked(self.here.instance)) if one != ours]


@contextmanager
def _running(banks: Sequence[str]) -> Iterator[_SetUp]:
    """The embedded set-up with these banks; nothing of it is left afterwards."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="reku-bench-") as name:
        here = Home(Path(name, "home"))
        os.environ.update(
            {"REKU_HOME": str(here.path), "REKU_UI_PORT": str(free_port()), "REKU_TRACKER_PORT": str(free_port())}
        )
        settings.cache_clear()
        given = {
            "REKU_CONFIG_DIR": str(_configuration(Path(name, "config"), banks)),
            "REKU_SMTP_PORT": str(free_port()),
            "REKU_BOUNCE_MAILDIR": "",  # else each chain would wait for the next look into it
            "REKU_RESPONSE_WINDOW_SECONDS": "0",
            "REKU_FILE_SETTLE_SECONDS": "0",
        }
        here.make()
        server = up.database(here)
        variables = up.environment(here, given, sink=True)
        supervisor = Supervisor(up.plan(here, sink=True, given=given), lambda _line: None)
        with stop_signals(supervisor):
            try:
                supervisor.start()
                supervisor.wait_healthy(600)
                supervisor.watch_in_background()
                os.environ.update({name: value for name, value in variables.items() if name.startswith("REKU_")})
                settings.cache_clear()
                api = AirflowApi(f"http://{LOOPBACK}:{settings().ui_port}", variables["REKU_UI_TOKEN"])
                _wait_until_quiet(api)
                yield _SetUp(here, api)
            finally:
                supervisor.stop()
                if server is not None:
                    delete(server)
                os.environ.clear()
                os.environ.update(before)
                settings.cache_clear()


def _configuration(folder: Path, banks: Sequence[str]) -> Path:
    config = configuration(folder)
    for blz in banks:
        text = _BANK.format(blz=blz, order=bank_files.ORDER)
        (config / "institutes" / f"{blz}.yaml").write_text(text, encoding="utf-8")
    return config


def _wait_until_quiet(api: AirflowApi) -> None:
    """Until the occasion is known, and the run of this day that each new DAG begins with has ended."""
    begun = time.monotonic()
    while not api.known(DAG) or api.is_at_work(KEPT_BUSY):
        if time.monotonic() - begun > LONGEST:
            raise SetupError(f"Airflow is still at work after {LONGEST:.0f} s.")
        time.sleep(_LOOK_EVERY)


def _people(delivery: int) -> list[dict[str, str]]:
    """People of today; those of each delivery are others."""
    today = f"{clock.today():%d.%m.%Y}"
    return [
        row | {"Anlass_Datum": today, "EMail": f"person{number}.{delivery}@kunde.example"}
        for number, row in enumerate(bank_files.people(PEOPLE, delivery), start=1)
    ]


def _figures(tasks: Sequence[Mapping[str, Any]], begun: datetime, cpu: float) -> RunFigures:
    """Of the task instances that the API has told."""
    before: defaultdict[str, list[float]] = defaultdict(list)
    inside: defaultdict[str, list[float]] = defaultdict(list)
    spans = [
        (str(task["task_id"]), int(task["map_index"]), _moment(task["start_date"]), _moment(task["end_date"]))
        for task in tasks
    ]
    ends: dict[int, datetime] = {}
    for name, index, start, end in sorted(spans, key=lambda span: span[2]):
        previous = max(ends.values(), default=begun) if index < 0 else ends.get(index, ends.get(-1, begun))
        before[name].append(max(0.0, (start - previous).total_seconds()))
        inside[name].append((end - start).total_seconds())
        ends[index] = end
    last = max(end for *_, end in spans)
    return RunFigures((last - begun).total_seconds(), len(tasks), cpu, dict(before), dict(inside))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
