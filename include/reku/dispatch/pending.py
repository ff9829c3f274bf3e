"""What comes next for a message that has not ended: the answer to "why has this person no mail yet?"."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from reku.dispatch import rate_limit, stop_switches
from reku.dispatch.doubt import SettledBy, in_doubt
from reku.dispatch.plan import CampaignFault, send_plan
from reku.dispatch.window import send_window
from reku.foundation import clock
from reku.foundation.errors import ConfigError
from reku.store.kinds import PreparedKind
from reku.store.states import MessageState
from reku.store.tables import deliveries, delivery_rows, dispatches, messages, prepared_files, prepared_rows


def waits_for(engine: sa.Engine, message: int) -> str:
    """What a message waits for, in a sentence; empty for one that has ended, or that does not exist."""
    with engine.connect() as connection:
        row = connection.execute(
            sa.select(
                messages,
                deliveries.c.order_number,
                dispatches.c.canary_until,
                dispatches.c.canary_passed_at,
                (rate_limit.next_at(messages.c.institute, delivery_rows.c.address) - sa.func.clock_timestamp()).label(
                    "turn"
                ),
            )
            .join(deliveries, deliveries.c.id == messages.c.delivery_id)
            .outerjoin(dispatches, dispatches.c.delivery_id == deliveries.c.id)
            .outerjoin(delivery_rows, delivery_rows.c.id == messages.c.row_id)
            .where(messages.c.id == message)
        ).one_or_none()
        if row is None:
            return ""
        if row.state == MessageState.OPEN:
            return "; ".join(_obstacles(connection, row)) or "the next dispatch takes it"
    if row.state == MessageState.PREPARED:
        return _file(engine, message)
    if row.state == MessageState.CLAIMED:
        return (
            f"in the hands of a dispatcher since {_shown(row.claimed_at)}; should that one be dead, the next dispatch "
            "sees by its journal whether hand-over had begun"
        )
    return _doubt(engine, message) if row.state == MessageState.IN_DOUBT else ""


def _file(engine: sa.Engine, message: int) -> str:
    """Which prepared file has to be taken, and until when."""
    of = prepared_files.c
    wanted = (
        sa.select(of.id, of.kind, of.file_name, of.fetched_at, of.last_day)
        .join(prepared_rows, prepared_rows.c.file_id == of.id)
        .where(prepared_rows.c.message_id == message)
        .order_by(of.id.desc())
    )
    with engine.connect() as connection:
        file = connection.execute(wanted).first()
    if file is None:
        return "the next file of its channel takes it"
    if file.kind == PreparedKind.EMMA:
        taken = "EMMA has taken it, and is to say that it was sent" if file.fetched_at else "EMMA is to take it"
        return f"{taken} (import {file.file_name.removesuffix('.json')})"
    return f"{file.file_name} (file {file.id}) to be fetched or acknowledged, until {file.last_day:%d.%m.%Y}"


def _obstacles(connection: sa.Connection, row: sa.Row[Any]) -> Iterator[str]:
    """All that an open message waits for."""
    moment = clock.now()
    if row.last_day < clock.berlin(moment).date():
        yield "its window is past: the next dispatch ends it"
        return
    yield from map(str, stop_switches.of_order(connection, row.institute, row.order_number))
    if row.retry_at is not None and row.retry_at > moment:
        said = f" (the relay said {row.answer}; tries so far: {row.attempts})" if row.answer else ""
        yield f"put off: not to be tried before {_shown(row.retry_at)}{said}"
    if row.due_at > moment:
        yield f"due at {_shown(row.due_at)}"
        return
    try:
        opens = send_window(send_plan(connection, row.delivery_id), moment).opens
    except (CampaignFault, ConfigError) as fault:
        yield str(fault)
        return
    if opens > moment:
        yield f"the next send window opens at {_shown(opens)}"
    elif row.canary_until is not None and row.canary_passed_at is None:
        yield f"held back by the canary of its delivery, which is judged at {_shown(row.canary_until)}"
    elif row.turn is not None and row.turn > rate_limit.HORIZON:
        yield f"its domain rests, or the pace of its bank is used up, for {row.turn.total_seconds():.0f} s more"


def _doubt(engine: sa.Engine, message: int) -> str:
    (doubt,) = in_doubt(engine, messages.c.id == message)
    if doubt.settled_by is SettledBy.DISPATCH:
        return "the next dispatch sends it again with the same Message-ID (in_doubt: resend)"
    return (
        "never sent again by itself: look it up in the relay's log by Message-ID or by its return path "
        f"{doubt.return_path}…, then `reku messages resolve`"
    )


def _shown(moment: datetime) -> str:
    return f"{clock.berlin(moment):%d.%m.%Y %H:%M:%S}"
