"""`reku up`: the whole set-up on one machine, from an empty folder to healthy Airflow.

`environment` and `plan` say what runs; the demo builds its own plan from them and drives the `Supervisor` itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import sqlalchemy as sa

from reku.foundation.errors import SetupError
from reku.foundation.private_files import private_folder
from reku.foundation.settings import settings
from reku.runtime import airflow, health, processes
from reku.runtime.home import Home, home
from reku.runtime.ports import LOOPBACK
from reku.runtime.postgres import Postgres
from reku.runtime.supervisor import Plan, Report, Service, Supervisor, stop_signals
from reku.store.migrate import migrate

SINK_PORT = "2525"
OUR_DATABASE, AIRFLOW_DATABASE = "reku", "airflow"
AIRFLOW_URL = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
_NOT_PASSED_ON = ("AIRFLOW", "PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONSTARTUP", processes.SERVICE)
# Another project's Airflow variables must not get in; without bytecode an import of tasks takes three times as long.


def main(*, sink: bool = False, report: Report = print) -> int:
    """Run the embedded set-up until Ctrl-C. Returns the exit code; raises SetupError with one clear sentence."""
    here = home()
    here.make()
    supervisor = Supervisor(plan(here, sink=sink), report)
    with stop_signals(supervisor):
        try:
            supervisor.start()
            supervisor.wait_healthy()
            token = here.secret_environment()["REKU_UI_TOKEN"]
            report(f"everything is up: {airflow.login_address(settings().ui_port, token)} (Airflow); Ctrl-C stops it")
            supervisor.run_forever()
        except KeyboardInterrupt:
            report("stopping")
        finally:
            supervisor.stop()
    report("stopped")
    return 0


def database(here: Home) -> Postgres | None:
    """The embedded server of a home, or None when the environment names one of its own (`REKU_DATABASE_URL`).

    Raises SetupError if only one of the two databases is named.
    """
    ours, theirs = os.environ.get("REKU_DATABASE_URL"), os.environ.get(AIRFLOW_URL)
    if ours and theirs:
        return None
    if ours:
        raise SetupError(
            f"REKU_DATABASE_URL names a server, {AIRFLOW_URL} names none: set both, or neither "
            "for the embedded PostgreSQL."
        )
    return Postgres(
        here.database,
        log=here.logs / "database.log",
        environment={processes.INSTANCE: here.instance, processes.SERVICE: "database"},
    )


def environment(here: Home, given: Mapping[str, str] | None = None, *, sink: bool = False) -> dict[str, str]:
    """All variables of the processes of one set-up: those of this process, completed by what is not set.

    `given` wins over everything (the demo's own settings). Creates the secrets at the first call. Commands like
    `reku orders` use it as well, to see the same database as the running set-up.
    """
    chosen = settings()
    server = database(here)
    passed_on = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED_ON)}
    bin_folder = str(Path(sys.executable).parent)
    complete = {
        "REKU_HOME": str(here.path),
        "REKU_FILES_URL": str(here.files),
        "REKU_BOUNCE_MAILDIR": str(here.mailbox),
        "REKU_TRACKER_URL": f"http://{LOOPBACK}:{chosen.tracker_port}",
    }
    if sink:
        complete |= {"REKU_SMTP_HOST": LOOPBACK, "REKU_SMTP_PORT": SINK_PORT, "REKU_SMTP_TLS": "false"}
    complete |= passed_on
    complete |= here.secret_environment()
    complete |= airflow.environment(
        here,
        ui_port=chosen.ui_port,
        database_url=server.url(AIRFLOW_DATABASE, driver="psycopg2") if server else os.environ[AIRFLOW_URL],
        async_database_url=(server.url(AIRFLOW_DATABASE) if server else _for_psycopg(os.environ[AIRFLOW_URL])),
    )
    if server is not None:
        complete["REKU_DATABASE_URL"] = server.url(OUR_DATABASE)
    complete |= {
        processes.INSTANCE: here.instance,
        "PATH": os.pathsep.join((bin_folder, passed_on.get("PATH", os.defpath))),
        # Airflow's processes talk to one another over the loopback, never through a proxy.
        "NO_PROXY": _with_loopback(passed_on.get("NO_PROXY", "")),
        "no_proxy": _with_loopback(passed_on.get("no_proxy", "")),
        **processes.KEEP_ENVIRONMENT,
    }
    complete |= dict(given or {})
    airflow.check_variables(complete)
    return complete


def plan(
    here: Home, *, sink: bool = False, given: Mapping[str, str] | None = None, more: Iterable[Service] = ()
) -> Plan:
    """What `reku up` runs. `given` are settings that win over the environment, `more` are further services."""
    variables = environment(here, given, sink=sink)
    server = database(here)

    def prepare(report: Report) -> None:
        _prepare(here, server, variables, report)

    services = [*airflow_services(variables), tracker_service(here, variables), *more]
    if sink:
        services.append(sink_service(here, variables))
    return Plan(here, tuple(services), server, prepare)


def airflow_services(variables: Mapping[str, str]) -> tuple[Service, ...]:
    """The four processes of Airflow. Their log servers are left out: they would listen on all interfaces, and on one
    machine the pages read the log files themselves.
    """
    port = int(variables["AIRFLOW__API__PORT"])
    address = f"http://{LOOPBACK}:{port}"

    def component(name: str, *arguments: str) -> Service:
        check = health.airflow_component(address, name.replace("-", "_"))
        return Service(name, airflow.command(name, *arguments), variables, check=check)

    return (
        Service(
            "api-server",
            airflow.command("api-server"),
            variables,
            ports=((port, "REKU_UI_PORT"),),
            check=health.airflow_server(address),
            stop_wave=1,
        ),
        component("scheduler", "--skip-serve-logs"),
        component("dag-processor"),
        component("triggerer", "--skip-serve-logs"),
    )


def tracker_service(here: Home, variables: Mapping[str, str]) -> Service:
    """The tracker, behind uvicorn, on the loopback."""
    port = settings().tracker_port
    return Service(
        "tracker",
        (*(sys.executable, "-P", "-m", "reku.responses.serve", LOOPBACK, str(port)),),
        variables,
        ports=((port, "REKU_TRACKER_PORT"),),
        check=health.tracker(f"http://{LOOPBACK}:{port}", here.instance),
        stop_wave=1,
    )


def sink_service(here: Home, variables: Mapping[str, str]) -> Service:
    """The simulator's mail server, which keeps every mail and sends none on."""
    port = int(variables["REKU_SMTP_PORT"])
    folder = here.path / "sink"
    private_folder(folder)
    return Service(
        "sink",
        (
            *(sys.executable, "-P", "-m", "reku.simulator.sink", "--port", str(port)),
            *("--maildir", str(folder / "mails"), "--truth", str(folder / "sink.jsonl")),
        ),
        variables,
        ports=((port, "REKU_SMTP_PORT"),),
        stop_wave=1,
    )


def _prepare(here: Home, server: Postgres | None, variables: Mapping[str, str], report: Report) -> None:
    """Create and migrate both databases, side by side."""
    begun = time.monotonic()
    airflow.write_config(here, variables["REKU_UI_TOKEN"])
    if server is not None:
        server.create_database(OUR_DATABASE)
        server.create_database(AIRFLOW_DATABASE)
    theirs = None if _airflow_is_migrated(here, server) else _begin_airflow_migration(here, variables)
    engine = sa.create_engine(variables["REKU_DATABASE_URL"])
    try:
        migrate(engine)
    except sa.exc.OperationalError as error:
        raise SetupError(f"The database of REKU_DATABASE_URL can't be reached: {error.orig}") from None
    finally:
        engine.dispose()
    if theirs is not None:
        if theirs.wait() != 0:
            raise SetupError(f"`airflow db migrate` failed. See {_migration_log(here)}")
        if server is not None:
            server.describe(AIRFLOW_DATABASE, airflow.schema_version())
    report(f"migrations: done after {time.monotonic() - begun:.1f} s")


def _airflow_is_migrated(here: Home, server: Postgres | None) -> bool:
    """Whether `airflow db migrate` may be left out; it costs five seconds at each start."""
    if server is None or not airflow.configured(here):
        return False
    return server.description(AIRFLOW_DATABASE) == airflow.schema_version()


def _begin_airflow_migration(here: Home, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with _migration_log(here).open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own command
            airflow.command("db", "migrate"),
            env=dict(variables),
            cwd=here.path,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _migration_log(here: Home) -> Path:
    return here.logs / "airflow-migrate.log"


def _for_psycopg(url: str) -> str:
    """The same PostgreSQL URL for psycopg 3, which also works asynchronously."""
    return sa.make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def _with_loopback(exceptions: str) -> str:
    return ",".join(filter(None, (exceptions, LOOPBACK, "localhost")))
