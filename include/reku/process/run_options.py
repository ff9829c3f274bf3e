"""What a run by hand may be asked to do otherwise than the run of the day."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from reku.foundation.errors import StageError, suggest


@dataclass(frozen=True)
class RunOptions:
    """Which banks (BLZ) and orders (numbers) are meant, all if empty, and how.

    `late`: mails whose window has passed are sent all the same. `ignore_missing`: what has not come is not waited for.
    `dry_run`: everything is decided and filled, and nothing kept of it or sent.
    """

    banks: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()
    late: bool = False
    ignore_missing: bool = False
    dry_run: bool = False

    @classmethod
    def of(cls, params: Mapping[str, Any], known_banks: Collection[str]) -> RunOptions:
        """From the fields of a form, missing ones as they are by default. Raises StageError for a bank there is not."""
        banks, orders = _words(params.get("banks")), _words(params.get("orders"))
        for blz in banks:
            if blz not in known_banks:
                near = suggest(blz, known_banks)
                raise StageError(
                    f"There is no bank {blz}.{f' Did you mean {near}?' if near else ''} Start the run again with the"
                    " BLZ of a bank that has a file in include/institutes."
                )
        flags = {name: bool(params.get(name)) for name in ("late", "ignore_missing", "dry_run")}
        return cls(banks, tuple(order.upper() for order in orders), **flags)

    def wants(self, institute: str, order_number: str) -> bool:
        """Whether an order is meant."""
        return (not self.banks or institute in self.banks) and (not self.orders or order_number in self.orders)


EVERYTHING = RunOptions()
"""The run of the day."""


def _words(value: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in value or () if word.strip()))
