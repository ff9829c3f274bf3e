"""The database of a command: `REKU_DATABASE_URL`, else that of this checkout's running set-up."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlalchemy as sa

    from reku.runtime.home import Home


def database() -> sa.Engine:
    """The engine to ask. Sets what the environment lacks of the running set-up's settings (files, keys) as well.

    Raises SetupError if there is no set-up running in this checkout and none is named.
    """
    from reku.store.engine import engine

    if not os.environ.get("REKU_DATABASE_URL"):
        _join_embedded()
    return engine()


def join_if_running() -> None:
    """Set what the environment lacks of the running set-up's settings; without one, leave them as they are."""
    from reku.foundation.errors import SetupError

    if not os.environ.get("REKU_DATABASE_URL"):
        with suppress(SetupError):
            _join_embedded()


def join_airflow() -> None:
    """Let this process use Airflow's database: that of the environment, else of this checkout's running set-up.

    To be called before Airflow is imported, which reads its settings then. Raises SetupError as `database` does.
    """
    from reku.foundation.errors import SetupError
    from reku.runtime.up import AIRFLOW_URL

    if AIRFLOW_URL in os.environ:
        return
    if os.environ.get("REKU_DATABASE_URL"):
        raise SetupError(
            f"Airflow's database is not known here: REKU_DATABASE_URL is set, {AIRFLOW_URL} is not. Run the command "
            "with Airflow's environment, in Compose as `docker compose exec scheduler reku …`."
        )
    _join_embedded()


def _running() -> Home:
    """The home of the set-up that runs in this checkout. Raises SetupError if none does."""
    from reku.foundation.errors import SetupError
    from reku.runtime.home import Home, home
    from reku.runtime.postgres import Postgres

    demo = Home(home().path / "demo")
    here = next((place for place in (home(), demo) if Postgres(place.database).answers()), None)
    if here is None:
        raise SetupError(
            "The database of this checkout does not answer: start the set-up with `reku up` or `make demo` and leave "
            "it running, or name a server in REKU_DATABASE_URL."
        )
    return here


def _join_embedded() -> None:
    from reku.foundation import clock
    from reku.foundation.settings import Settings, settings
    from reku.runtime.home import Home, home
    from reku.runtime.up import environment

    here, demo = _running(), Home(home().path / "demo")
    # Only our settings and Airflow's: REKU_INSTANCE would mark this command as one of the supervisor's processes.
    ours = {f"REKU_{field.upper()}" for field in Settings.model_fields}
    for name, value in environment(here).items():
        if name in ours or name.startswith("AIRFLOW"):
            os.environ.setdefault(name, value)
    if here == demo:
        from reku.demo.run import DemoPlaces

        os.environ.setdefault(clock.CLOCK_FILE_VARIABLE, str(DemoPlaces(here).clock))
    settings.cache_clear()
