"""The database of a command: `REKU_DATABASE_URL`, else that of this checkout's running set-up."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlalchemy as sa


def database() -> sa.Engine:
    """The engine to ask. Sets what the environment lacks of the running set-up's settings (files, keys) as well.

    Raises SetupError if there is no set-up running in this checkout and none is named.
    """
    from reku.store.engine import engine

    if not os.environ.get("REKU_DATABASE_URL"):
        _join_embedded()
    return engine()


def _join_embedded() -> None:
    from reku.foundation import clock
    from reku.foundation.errors import SetupError
    from reku.foundation.settings import Settings, settings
    from reku.runtime.home import Home, home
    from reku.runtime.postgres import Postgres
    from reku.runtime.up import environment

    demo = Home(home().path / "demo")
    here = next((place for place in (home(), demo) if Postgres(place.database).answers()), None)
    if here is None:
        raise SetupError(
            "The database of this checkout does not answer: start the set-up with `reku up` or `make demo` and leave "
            "it running, or name a server in REKU_DATABASE_URL."
        )
    # Only our settings: REKU_INSTANCE would mark this command as one of the supervisor's processes.
    ours = {f"REKU_{field.upper()}" for field in Settings.model_fields}
    for name, value in environment(here).items():
        if name in ours:
            os.environ.setdefault(name, value)
    if here == demo:
        from reku.demo.run import DemoPlaces

        os.environ.setdefault(clock.CLOCK_FILE_VARIABLE, str(DemoPlaces(here).clock))
    settings.cache_clear()
