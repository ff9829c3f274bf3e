"""The demo from its first process to its last table."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa
from rich.console import Console

from reku.catalogue import institutes
from reku.demo import state
from reku.demo.outcome import show_outcome
from reku.demo.story import Story
from reku.foundation import clock
from reku.foundation.settings import settings
from reku.runtime import airflow, up
from reku.runtime.home import Home, home
from reku.runtime.ports import LOOPBACK
from reku.runtime.supervisor import Plan, Service, Supervisor, stop_signals
from reku.simulator import world
from reku.simulator.build import build
from reku.simulator.sink import write_dead_addresses
from reku.simulator.world import LAST_DAY

SEED = 20261122
RESPONSE_WINDOW = "5"
"""Seconds; hours in real life."""
HIT_SETTLE = "3"
"""Seconds; a minute in real life."""
PARSE_INTERVAL = "1200"
"""Seconds; half a minute in real life, where occasions are edited. Reading all of them takes a core five seconds."""


class DemoPlaces:
    """Where the demo keeps its things, all below its home."""

    def __init__(self, here: Home) -> None:
        self.home = here
        self.state = here.path / "demo.json"
        self.clock = here.path / "clock.json"
        self.sink = here.path / "sink"
        self.sink_truth = self.sink / "sink.jsonl"
        self.mails = self.sink / "mails"
        self.rules = self.sink / "rules.json"
        self.customers_truth = here.path / "customers.jsonl"
        self.journals = here.path / "journal"
        self.hits = here.path / "tracker"
        self.reports = here.path / "reports"

    def forget(self) -> None:
        """Remove everything of an earlier demo but its secrets, its logs and its database server."""
        for folder in (
            self.home.files,
            self.home.mailbox,
            self.sink,
            self.journals,
            self.hits,
            self.reports,
            self.home.airflow / "logs",
        ):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (self.state, self.clock, self.customers_truth):
            file.unlink(missing_ok=True)


def main(*, once: bool, fresh: bool = False, days: int = LAST_DAY) -> int:
    """Run the demo. Exit code 0: the response files hold exactly what happened and every number adds up.

    `once` ends it by itself; otherwise it stays up until Ctrl-C. A demo that was killed goes on where it was, one that
    had come to its end begins anew, as does `fresh`. `days` of its three days are played. Raises SetupError with one
    sentence.
    """
    console = Console(highlight=False)
    places = DemoPlaces(Home(home().path / "demo"))
    before = state.load(places.state)
    anew = fresh or before is None or before.finished
    supervisor = Supervisor(_plan(places, anew=anew), lambda line: console.print(f"  [dim]{line}[/dim]"))
    started = False
    with stop_signals(supervisor):
        try:
            supervisor.start()
            started = True
            supervisor.wait_healthy()
            supervisor.watch_in_background()
            return _play(places, console, days, once=once, watch=lambda: _raise_failure(supervisor))
        except KeyboardInterrupt:
            console.print("stopping")
            return 130
        finally:
            supervisor.stop()
            if started:
                console.print("[dim]stopped, nothing is left running[/dim]")


def _raise_failure(supervisor: Supervisor) -> None:
    if supervisor.failure is not None:
        raise supervisor.failure


def _play(places: DemoPlaces, console: Console, days: int, *, once: bool, watch: Callable[[], None]) -> int:
    address = f"http://{LOOPBACK}:{settings().ui_port}"
    login = airflow.login_address(settings().ui_port, settings().ui_token.get_secret_value())
    console.print(f"[bold]Airflow[/bold] is up: {login}", soft_wrap=True)
    kept = state.load(places.state)
    assert kept is not None  # noqa: S101 - _prepare has written it before any service was started
    story = Story(places, build(SEED, kept.first_day), kept, address, console, watch)
    story.tell(days)
    good = show_outcome(places, story, days, console)
    kept.finished = True
    kept.keep(places.state)
    if not once:
        console.print(f"Everything stays up until Ctrl-C. Look around: {login}", soft_wrap=True)
        while True:
            story.rest()
    return 0 if good else 1


def _plan(places: DemoPlaces, *, anew: bool) -> Plan:
    """The embedded set-up with the demo's settings, its world prepared before any service starts."""
    given = {
        clock.CLOCK_FILE_VARIABLE: str(places.clock),
        "REKU_ENVIRONMENT": "T",
        "REKU_FILES_URL": str(places.home.files),
        "REKU_BOUNCE_MAILDIR": str(places.home.mailbox),
        "REKU_JOURNAL_DIR": str(places.journals),
        "REKU_TRACKER_DIR": str(places.hits),
        "REKU_REPORTS_DIR": str(places.reports),
        "REKU_HIT_SETTLE_SECONDS": HIT_SETTLE,
        "REKU_SMTP_HOST": LOOPBACK,
        "REKU_SMTP_PORT": os.environ.get("REKU_SMTP_PORT", up.SINK_PORT),
        "REKU_SMTP_TLS": "false",
        "REKU_TRACKER_URL": f"http://{LOOPBACK}:{settings().tracker_port}",
        "REKU_RESPONSE_WINDOW_SECONDS": RESPONSE_WINDOW,
        "REKU_POKE_SECONDS": "1",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": PARSE_INTERVAL,
    }
    places.home.make()
    variables = up.environment(places.home, given, sink=True)
    plan = up.plan(places.home, given=given, more=[_sink(places, variables)])
    # From here on this process lives in the demo's world as all others do.
    os.environ.update({name: value for name, value in variables.items() if name.startswith("REKU_")})
    settings.cache_clear()

    def prepare(report: Callable[[str], None]) -> None:
        report("a new demo" if anew else "going on where the last demo was cut off")
        if anew:
            places.forget()
            _drop_databases(plan)
        assert plan.prepare is not None  # noqa: S101 - up.plan always prepares
        plan.prepare(report)
        _prepare(places)

    return dataclasses.replace(plan, prepare=prepare)


def _sink(places: DemoPlaces, variables: dict[str, str]) -> Service:
    service = up.sink_service(places.home, variables)
    return dataclasses.replace(service, command=(*service.command, "--rules", str(places.rules)))


def _drop_databases(plan: Plan) -> None:
    """An earlier demo's rows must not meet a new demo's files."""
    if plan.database is None:
        return
    engine = sa.create_engine(plan.database.url("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for name in (up.OUR_DATABASE, up.AIRFLOW_DATABASE):
            connection.execute(sa.text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    engine.dispose()


def _prepare(places: DemoPlaces) -> None:
    """The world's first day and its clock, before Airflow looks at either."""
    kept = state.load(places.state)
    if kept is None:
        states = tuple(institutes()[bank].state for bank in world.BANKS)
        day_1 = world.good_first_day(clock.today(), states)
        clock.move(places.clock, world.moment(day_1, world.DeliveryStep.DAY_1))
        kept = state.DemoState(day_1.isoformat(), clock.now().isoformat())
        kept.keep(places.state)
    else:
        clock.move(places.clock, datetime.fromisoformat(kept.shown))
    places.sink.mkdir(parents=True, exist_ok=True)
    write_dead_addresses(places.rules, build(SEED, kept.first_day).dead_addresses)
