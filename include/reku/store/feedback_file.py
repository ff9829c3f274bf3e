"""What is said of a response file that was never made."""

from __future__ import annotations

from reku.foundation.errors import StageError


def no_such_file(institute: str, number: int) -> StageError:
    """The error for a number that was never drawn."""
    return StageError(
        f"Institute {institute} has no response file {number:06d}. `reku feedback list` lists those there are."
    )
