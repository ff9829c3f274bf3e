"""What others need to know of the DAGs without Airflow being imported."""

from __future__ import annotations

import zlib


def dag_id(code: str) -> str:
    """The DAG of an occasion: MCAG002 → reku_mcag002."""
    return f"reku_{code.lower()}"


def start_minute(code: str) -> int:
    """The minute after 03:00 Berlin time at which the DAG of an occasion starts, 0 to 44: spread by a hash of the code.

    CRC-32 and not `hash`, which differs from process to process.
    """
    return zlib.crc32(code.encode()) % 45
