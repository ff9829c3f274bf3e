"""A stage of a benchmark in a process of its own, which no setting of this one reaches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from reku.foundation.errors import SetupError


def figures_of(module: str, *arguments: int) -> list[dict[str, Any]]:
    """What a module of this room prints, as its last line, when it is run. Raises SetupError if it fails."""
    done = subprocess.run(  # noqa: S603 - our own program
        (sys.executable, "-P", "-m", module, *map(str, arguments)),
        env={name: value for name, value in os.environ.items() if not name.startswith("REKU_")},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SetupError(f"{module} could not measure; what went wrong stands above.")
    figures: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return figures
