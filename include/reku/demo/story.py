"""What happens in the demo: three days, told step by step. Each step may be repeated; what is over is remembered."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console

from reku.catalogue import institutes, media, occasions
from reku.demo.state import DemoState, set_clock
from reku.dispatch.doubt import in_doubt, resolve
from reku.foundation import clock
from reku.foundation.bank_folders import Folder
from reku.foundation.errors import RekuError
from reku.foundation.settings import settings
from reku.orchestration.names import dag_id
from reku.process.collecting import collect
from reku.responses.hits import take_in
from reku.runtime.airflow_api import ENDED, AirflowApi
from reku.simulator import core_bank
from reku.simulator.customers import Customers, is_control_copy
from reku.simulator.truth_file import entries
from reku.simulator.world import DAYS, DeliveryStep, DemoWorld, calendar_day, moment
from reku.store.engine import engine

if TYPE_CHECKING:
    from reku.demo.run import DemoPlaces

MOST_CLEARS = 4
"""How often a red run is cleared before the demo gives up; after a kill -9 one is enough."""
PATIENCE = 420.0
"""Seconds until a day's runs must have ended, restarts of killed processes included."""


class Story:
    """Plays the demo on a running set-up. `watch` raises when the supervisor has given up."""

    def __init__(
        self,
        places: DemoPlaces,
        world: DemoWorld,
        state: DemoState,
        address: str,
        console: Console,
        watch: Callable[[], None],
    ) -> None:
        self.world, self.state = world, state
        self._places, self._console, self._watch = places, console, watch
        self._airflow = AirflowApi(address, settings().ui_token.get_secret_value())
        self._customers = Customers(
            world,
            sink_truth=places.sink_truth,
            maildir=places.mails,
            return_maildir=places.home.mailbox,
            truth=places.customers_truth,
            tracker_url=settings().tracker_url,
        )
        self._faults: list[str] = []
        self._occasions = sorted({order.occasion for order in world.orders.values()})

    def tell(self, days: int) -> None:
        """So many days. Raises RekuError when something does not get done."""
        self._until(lambda: all(map(self._airflow.known, self._dags())), "Airflow has read the DAGs")
        for day in DAYS[:days]:
            self._day(day)
        self._until(lambda: True, "every file of the configuration can be read")  # what comes next reads them all

    def rest(self) -> None:
        """A second of a demo that is over: late customers still react."""
        self._watch()
        if self._is_configured():
            self._customers.act()
        time.sleep(1)

    def _is_configured(self) -> bool:
        """Whether every file of the configuration can be read; a fault is told once.

        Whoever tries the demo may well change a bank's file: that must not cost its world.
        """
        faults = [str(fault) for entries in (institutes(), occasions(), media()) for fault in entries.faults]
        for fault in faults:
            if fault not in self._faults:
                self._console.print(f"  {self._time()} the demo waits until this is mended: {fault}")
        if self._faults and not faults:
            self._console.print(f"  {self._time()} mended: the demo goes on")
        self._faults = faults
        return not faults

    def _dags(self) -> list[str]:
        return ["reku_intake", "reku_agree21_import", "reku_feedback", *map(dag_id, self._occasions)]

    def _day(self, number: int) -> None:
        day = calendar_day(self.world.day_1, number)
        self._console.print(f"[bold]Day {number}[/bold], {day:%A %d.%m.%Y}")
        self._arrive(DeliveryStep[f"DAY_{number}"])
        self._once(f"{number}: runs started", lambda: self._start_runs(number, day.isoformat()))
        self._arrive(DeliveryStep[f"DAY_{number}_DATA"])
        if number == 1:
            self._arrive(DeliveryStep.DAY_1_CURE)
        self._once(f"{number}: loaded", lambda: self._until(lambda: self._loaded(number), "all deliveries are loaded"))
        set_clock(self._places.clock, clock.at(day, 10, 31))
        self._once(f"{number}: dispatched", lambda: self._finish_runs(number))
        if number == 2:
            self._arrive(DeliveryStep.DAY_2_RENAME)
        set_clock(self._places.clock, clock.at(day, 22, 0))
        self._once(f"{number}: feedback", lambda: self._feedback(number))

    def _once(self, name: str, do: Callable[[], None]) -> None:
        """Do a step unless an earlier start of the demo has done it."""
        if name not in self.state.done:
            do()
            self.state.done.append(name)
            self.state.keep(self._places.state)

    def _arrive(self, step: DeliveryStep) -> None:
        """The core banks write their files, and intake or import takes them in."""
        dag = "reku_agree21_import" if step.brings_data else "reku_intake"

        def do() -> None:
            set_clock(self._places.clock, moment(self.world.day_1, step))
            run = f"demo_{step.name.lower()}"
            if self._airflow_state(dag, run) is None:
                names = core_bank.deliver(self.world, step, settings().files_url)
                self._console.print(f"  {self._time()} {len(names)} files from the core banks ({step})")
            self._airflow.trigger(dag, run)
            self._wait_for({(dag, run)})

        self._once(step.name, do)

    def _airflow_state(self, dag: str, run: str) -> str | None:
        try:
            return self._airflow.state(dag, run)
        except RekuError:
            return None

    def _start_runs(self, number: int, day: str) -> None:
        set_clock(self._places.clock, clock.at(calendar_day(self.world.day_1, number), 3, 5))
        for occasion in self._occasions:
            self._airflow.trigger(dag_id(occasion), self._run(number), day=day)
        self._console.print(f"  {self._time()} {len(self._occasions)} occasion runs started")

    @staticmethod
    def _run(number: int) -> str:
        return f"demo_day_{number}"

    def _loaded(self, number: int) -> bool:
        """Whether every run has come as far as it can before the play-out time."""
        for occasion in self._occasions:
            run = self._run(number)
            if self._airflow.state(dag_id(occasion), run) in ENDED:
                continue
            before = [task for task in self._airflow.tasks(dag_id(occasion), run) if not _is_late(task["task_id"])]
            if not all(task["state"] in ("success", "failed", "skipped", "upstream_failed") for task in before):
                return False
        return True

    def _finish_runs(self, number: int) -> None:
        self._console.print(f"  {self._time()} play-out time: mails go out, customers read, click, unsubscribe, bounce")
        self._wait_for({(dag_id(occasion), self._run(number)) for occasion in self._occasions})

    def _feedback(self, number: int) -> None:
        self._until(lambda: self._customers.act().open == 0, "all customers have reacted")
        self._until(lambda: take_in(engine()) == 0, "their opens and clicks are judged")
        self._airflow.trigger("reku_feedback", self._run(number))
        self._wait_for({("reku_feedback", self._run(number))})
        files = sorted(self._places.home.files.glob(f"*/{Folder.OUTBOX}/*.csv"))
        self._console.print(f"  {self._time()} daily feedback written, {len(files)} files for the core banks so far")

    def _wait_for(self, runs: set[tuple[str, str]]) -> None:
        """Wait until all runs are green; customers react meanwhile. A red one is repaired as an operator would."""
        clears = dict.fromkeys(runs, 0)

        def green() -> bool:
            self._customers.act()
            for dag, run in sorted(runs):
                state = self._airflow.state(dag, run)
                if state == "success":
                    runs.discard((dag, run))
                elif state == "failed":
                    clears[dag, run] += 1
                    if clears[dag, run] > MOST_CLEARS:
                        raise RekuError(f"Run {run} of {dag} stays red; look at its tasks in Airflow.")
                    self._resolve_doubts()
                    self._console.print(f"  {self._time()} {dag} is red: clearing what failed")
                    self._airflow.clear_failed(dag, run)
            return not runs

        self._until(green, "all runs are green")

    def _resolve_doubts(self) -> None:
        """What a person on call does about mails in doubt: look into the relay's log, then say what became of each."""
        taken = {
            entry["message_id"]
            for entry in entries(self._places.sink_truth)
            if entry["what"] == "taken" and not is_control_copy(entry)
        }
        for row in in_doubt(engine()):
            sent = row.message_id in taken
            resolve(engine(), row.institute, row.reference, sent=sent, actor="demo", note="looked up in the sink's log")
            if not sent:
                number = int(row.reference.rpartition("-")[0].rpartition("-")[2])
                self.state.closed_as_not_sent.append([row.institute, row.order_number, number, row.reference])
            self._console.print(f"  {row.reference} was in doubt: closed as {'sent' if sent else 'not sent'}")

    def _until(self, reached: Callable[[], bool], what: str) -> None:
        """Wait until it is so, and every file of the configuration can be read. Raises RekuError after `PATIENCE`."""
        begun = kept = time.monotonic()
        while not (self._is_configured() and reached()):
            self._watch()
            if self._faults:
                begun = time.monotonic()
            collect(engine())  # the DAG that does it has no schedule where the clock is moved
            if time.monotonic() - begun > PATIENCE:
                raise RekuError(f"Waited {PATIENCE:.0f} s until {what}. Logs: {self._places.home.logs}")
            if time.monotonic() - kept > 5:
                kept = time.monotonic()
                self.state.keep(self._places.state)
            time.sleep(1)

    def _time(self) -> str:
        return f"{clock.berlin(clock.now()):%H:%M}"


def _is_late(task: str) -> bool:
    """Whether a task only gets done once the play-out time has come."""
    return task.rpartition(".")[2] in ("dispatch", "collect_responses", "export_feedback", "report")
