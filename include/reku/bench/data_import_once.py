"""Take in what lies in the inbox of the import benchmark's bank, and print seconds and peak memory (bytes)."""

from __future__ import annotations

import json
import resource

from reku.bench.data_import import timed_import
from reku.store.engine import engine


def main() -> None:
    """Measure and print one JSON object."""
    seconds = timed_import(engine())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak": peak}))  # noqa: T201 - read by `data_import`


if __name__ == "__main__":
    main()
