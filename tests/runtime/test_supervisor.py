"""The supervisor with small programs in place of Airflow: what dies comes back, what is stopped is gone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from reku.foundation.errors import SetupError
from reku.runtime import processes
from reku.runtime.home import Home
from reku.runtime.postgres import Postgres
from reku.runtime.supervisor import Plan, Service, Supervisor, Timing
from reku_testing.ports import free_port
from reku_testing.throwaway import ThrowawayPostgres

pytestmark = pytest.mark.processes

FAST = Timing(tick=0.05, grace=1.0, clearing=0.5, back_off=(0.05, 0.1), steady=60, recovery=0.3, most_failures=4)
ENVIRONMENT = {"PATH": os.environ["PATH"]}
STEADY = "exec sleep 300"
STUBBORN = "trap '' TERM; exec sleep 300"
PARENT_OF_STUBBORN = f'setsid sh -c "{STUBBORN}" & exec sleep 300'
LISTENER = "import socket,sys,time; s=socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(300)"


def shell(name: str, script: str, **more: object) -> Service:
    return Service(name, ("sh", "-c", script), ENVIRONMENT, **more)  # type: ignore[arg-type] # keywords of Service


def until(true: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


class World:
    """A home, the lines reported, and the supervisors made, all stopped in the end."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        self.lines: list[str] = []
        self.made: list[Supervisor] = []

    def supervisor(self, *services: Service, database: Postgres | None = None, timing: Timing = FAST) -> Supervisor:
        supervisor = Supervisor(Plan(self.home, services, database), self.lines.append, timing)
        self.made.append(supervisor)
        return supervisor

    def pids(self, service: str | None = None) -> list[int]:
        return [process.pid for process in processes.marked(self.home.instance, service)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    for supervisor in world.made:
        supervisor.stop()
    left = processes.marked(world.home.instance)
    processes.kill(left)
    assert left == []


def test_what_this_process_had_started_before_is_left_alone(world: World) -> None:
    """As the tests' own database: a child in a session of its own, started by whoever uses the supervisor."""
    stranger = subprocess.Popen(["sleep", "300"], start_new_session=True)
    try:
        supervisor = world.supervisor(shell("one", "exec sleep 300"))
        supervisor.start()
        supervisor.stop()
        assert stranger.poll() is None
        assert world.pids() == []
    finally:
        stranger.kill()
        stranger.wait()


def test_starts_waits_for_health_and_stops(world: World) -> None:
    port = free_port()
    asked: list[float] = []

    def check(_since: object) -> str | None:
        asked.append(time.monotonic())
        return None if len(asked) > 2 else "not yet"

    listener = Service(
        "listener",
        (sys.executable, "-I", "-S", "-c", LISTENER, str(port)),
        ENVIRONMENT,
        ports=((port, "X"),),
        check=check,
    )
    supervisor = world.supervisor(listener, shell("steady", STEADY))
    supervisor.start()
    supervisor.wait_healthy(20)
    assert len(asked) == 3
    assert any(line.startswith("listener: healthy") for line in world.lines)
    supervisor.stop()
    assert world.pids() == []
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_what_never_gets_healthy_is_named_with_its_log(world: World) -> None:
    supervisor = world.supervisor(shell("slow", STEADY, check=lambda _since: "it is still thinking"))
    supervisor.start()
    with pytest.raises(SetupError, match=r"Not healthy after 0 s: it is still thinking\. See .*slow\.log"):
        supervisor.wait_healthy(0.2)


def test_a_killed_service_comes_back_without_its_old_workers(world: World) -> None:
    supervisor = world.supervisor(shell("scheduler", PARENT_OF_STUBBORN))
    supervisor.start()
    until(lambda: len(world.pids("scheduler")) >= 2)
    first = world.pids("scheduler")
    main = min(first)
    os.kill(main, signal.SIGKILL)
    until(lambda: supervisor.tick() or (world.pids("scheduler") and not set(first) & set(world.pids())))
    assert "scheduler: ended by SIGKILL, starts again in 0.05 s" in world.lines


def test_a_service_that_ends_again_and_again_ends_the_set_up_with_its_log(world: World) -> None:
    supervisor = world.supervisor(shell("broken", "echo broken >&2; exit 3"), shell("steady", STEADY))
    supervisor.start()
    with pytest.raises(
        SetupError, match=r"broken ended 4 times in a row, the last time with exit code 3\. See"
    ) as error:
        supervisor.run_forever()
    log = Path(str(error.value).split("See ")[1])
    assert log.read_text().count("broken") == 4
    pauses = [line.rsplit(" in ", 1)[1] for line in world.lines]
    assert pauses == ["0.05 s", "0.1 s", "0.1 s"]


def test_a_program_that_is_not_there_is_one_clear_sentence(world: World) -> None:
    supervisor = world.supervisor(Service("ghost", ("/nowhere/ghost",), ENVIRONMENT))
    with pytest.raises(SetupError, match="ghost can't be started"):
        supervisor.start()


def test_stop_leaves_nothing_that_ignores_term_in_a_session_of_its_own(world: World) -> None:
    supervisor = world.supervisor(shell("parent", PARENT_OF_STUBBORN), shell("deaf", STUBBORN))
    supervisor.start()
    until(lambda: len(world.pids("parent")) >= 2)
    everything = world.pids()
    begun = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - begun < 8
    assert not any(psutil.pid_exists(pid) for pid in everything)


def test_an_orphan_that_hides_its_marker_does_not_escape(world: World) -> None:
    hidden = "(env -i setsid sleep 300 &) ; exec sleep 300"
    before = {child.pid for child in processes.adopted()}

    def orphans() -> list[psutil.Process]:
        known = before | set(world.pids())
        return [child for child in processes.adopted() if child.pid not in known and child.name() == "sleep"]

    supervisor = world.supervisor(shell("parent", hidden))
    supervisor.start()
    until(orphans)
    (orphan,) = orphans()
    supervisor.stop()
    assert not orphan.is_running()


def test_services_of_a_lower_wave_are_stopped_first(world: World, tmp_path: Path) -> None:
    said = tmp_path / "said"
    script = "trap 'sleep 0.2; echo {0} >> {1}; exit 0' TERM; echo {0} >> {1}.up; while :; do sleep 0.05; done"
    supervisor = world.supervisor(
        shell("last", script.format("last", said), stop_wave=1), shell("first", script.format("first", said))
    )
    supervisor.start()
    until(lambda: Path(f"{said}.up").exists() and len(Path(f"{said}.up").read_text().split()) == 2)
    supervisor.stop()
    assert said.read_text().split() == ["first", "last"]


def test_a_second_start_is_refused_with_the_pid_and_disturbs_nothing(world: World) -> None:
    first = world.supervisor(shell("steady", STEADY))
    first.start()
    running = world.pids()
    second = world.supervisor(shell("steady", STEADY))
    with pytest.raises(SetupError, match=rf"reku already runs for .*home \(pid {os.getpid()}\).*kill {os.getpid()}"):
        second.start()
    second.stop()
    assert world.pids() == running


def test_a_taken_port_is_refused_with_holder_and_variable_before_anything_starts(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        supervisor = world.supervisor(shell("page", STEADY, ports=((port, "REKU_UI_PORT"),)))
        with pytest.raises(SetupError, match=rf"Port {port} is already taken by .*REKU_UI_PORT=<port>") as error:
            supervisor.start()
        assert f"(pid {os.getpid()})" in str(error.value)
    assert world.pids() == []


RUNNER = """
import sys
from pathlib import Path
from reku.runtime.home import Home
from reku.runtime.supervisor import Timing, Plan, Service, Supervisor, stop_signals
script, folder = sys.argv[1], Path(sys.argv[2])
supervisor = Supervisor(Plan(Home(folder), (Service("parent", ("sh", "-c", script), {"PATH": "/usr/bin:/bin"}),)),
    lambda line: None, Timing(tick=0.05, grace=1, clearing=0.5))
with stop_signals(supervisor):
    try:
        supervisor.start()
        print("started", flush=True)
        supervisor.run_forever()
    except KeyboardInterrupt:
        print("stopping", flush=True)
    finally:
        supervisor.stop()
print("stopped", flush=True)
"""


def run_elsewhere(world: World) -> subprocess.Popen[str]:
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, PARENT_OF_STUBBORN, str(world.home.path)], stdout=subprocess.PIPE, text=True
    )
    assert runner.stdout is not None
    assert runner.stdout.readline() == "started\n"
    until(lambda: len(world.pids()) >= 2)
    return runner


def test_leftovers_of_a_killed_supervisor_are_cleared_and_strangers_are_left_alone(world: World) -> None:
    runner = run_elsewhere(world)
    leftovers = world.pids()
    runner.kill()
    runner.communicate()
    assert set(leftovers) <= set(world.pids())
    with (
        subprocess.Popen(["sleep", "300"], env=ENVIRONMENT) as stranger,
        subprocess.Popen(["sleep", "300"], env={**ENVIRONMENT, processes.INSTANCE: "another checkout"}) as neighbour,
    ):
        supervisor = world.supervisor(shell("steady", STEADY))
        supervisor.start()
        assert not set(leftovers) & set(world.pids())
        assert any("an earlier, killed run left behind" in line for line in world.lines)
        supervisor.stop()
        assert stranger.poll() is None
        assert neighbour.poll() is None
        stranger.kill()
        neighbour.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything(world: World, number: signal.Signals) -> None:
    runner = run_elsewhere(world)
    runner.send_signal(number)
    output, _ = runner.communicate(timeout=15)
    assert output == "stopping\nstopped\n"
    assert runner.returncode == 0
    assert world.pids() == []


def test_a_killed_database_comes_back_and_who_did_not_get_over_it_is_restarted(world: World, tmp_path: Path) -> None:
    database = ThrowawayPostgres(tmp_path)
    try:
        stuck = shell("stuck", STEADY, check=lambda _since: "no heartbeat")
        supervisor = world.supervisor(stuck, shell("fine", STEADY), database=database)
        supervisor.start()
        before = {name: world.pids(name) for name in ("stuck", "fine")}
        postmaster = database.postmaster()
        assert postmaster is not None
        postmaster.send_signal(signal.SIGKILL)
        until(lambda: supervisor.tick() or world.pids("stuck") not in ([], before["stuck"]), 20)
        assert database.answers()
        assert world.pids("fine") == before["fine"]
        supervisor.stop()
        assert database.postmaster() is None
    finally:
        database.remove()


def test_watching_in_background_hands_on_what_went_wrong(world: World) -> None:
    supervisor = world.supervisor(shell("broken", "exit 3"))
    supervisor.start()
    supervisor.watch_in_background()
    until(lambda: supervisor.failure is not None)
    with pytest.raises(SetupError, match="broken ended 4 times in a row"):
        supervisor.tick()
    supervisor.stop()
