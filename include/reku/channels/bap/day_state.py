"""The state of the day for agree21BAP: what every channel does for each person, fixed in one transaction.

Told in docs/agree21.md, "BAP, parameters of the channels".
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import sqlalchemy as sa

from reku.catalogue import occasions
from reku.catalogue.channel_name import ChannelName
from reku.catalogue.institute import Institute
from reku.channels.bap.bap_file import BAP_STATE, KINDS
from reku.channels.bap.channel import SHOWN_CHANNELS
from reku.contact.decide import reasons
from reku.contact.policy import Policy
from reku.contact.reasons import Reason
from reku.foundation import clock
from reku.pickup.file_format import FileStamp
from reku.pickup.prepare import new_file
from reku.pickup.supersede import supersede_older
from reku.store.due import due_bounds, on_day
from reku.store.events import Event, record
from reku.store.locks import Lock, lock_until_commit
from reku.store.states import MessageState, with_states
from reku.store.tables import messages, prepared_files, told_in_bap

DROPS_OUT = frozenset({Reason.AUFTRAG_BEENDET, Reason.BESTAND, Reason.NACHLASS, Reason.WERBEVERWEIGERER})
"""What ends what is being shown: all that is asked on every day, not only when a message is prepared."""

_STATE = with_states("""
    WITH of_day AS (
        SELECT m.id, m.institute, m.person_number, m.channel, k.code, m.medium, m.last_day, o.order_number,
            o.placeholder,
            CAST(m.due_at AT TIME ZONE 'Europe/Berlin' AS date) AS first_day, c.blocked_until, t.message_id AS told,
            (m.state IN {MAY_BE_WITH_THE_PERSON}
                OR m.state IN {MAY_STILL_GO_OUT} AND m.channel <> ALL(CAST(:shown AS text[])))
            AND NOT (o.ended OR coalesce(o.valid_until < :day, false) OR p.missing_since IS NOT NULL
                OR p.estate AND :estate_bars OR p.flags && CAST(:refusing AS text[])) AS is_on
        FROM reku.messages m
        JOIN unnest(CAST(:channels AS text[]), CAST(:kinds AS text[])) AS k(channel, code) ON k.channel = m.channel
        JOIN reku.orders o ON o.id = m.order_id
        JOIN reku.persons p ON p.institute = m.institute AND p.person_number = m.person_number
        LEFT JOIN reku.contacts c ON c.message_id = m.id
        LEFT JOIN reku.told_in_bap t ON t.message_id = m.id
        WHERE m.institute = :institute AND m.last_day >= :day AND m.due_at < :end
    ), told_now AS (
        INSERT INTO reku.told_in_bap (message_id, institute, last_day)
        SELECT id, institute, last_day FROM of_day WHERE is_on AND told IS NULL
    ), of_one AS (
        SELECT d.*, row_number() OVER (same ORDER BY is_on DESC, id DESC) AS place,
            min(first_day) OVER alike AS shown_from, max(last_day) OVER alike AS shown_until,
            max(blocked_until) OVER alike AS blocks_until
        FROM of_day d WHERE is_on OR told IS NOT NULL
        WINDOW same AS (PARTITION BY person_number, order_number, code),
            alike AS (PARTITION BY person_number, order_number, code, is_on)
    )
    INSERT INTO reku.prepared_rows (file_id, position, institute, person_number, message_id, values)
    SELECT :file, row_number() OVER (ORDER BY r.id), r.institute, r.person_number,
        CASE WHEN r.is_on AND r.channel = ANY(CAST(:shown AS text[])) THEN r.id END,
        CASE WHEN r.place > 1 THEN '{}' ELSE ARRAY[
            r.order_number, r.code, CASE WHEN r.is_on THEN 'EIN' ELSE 'AUS' END, coalesce(r.placeholder, ''),
            coalesce(nullif(r.medium, ''), s.medium, ''),
            to_char(least(r.shown_from, r.shown_until), 'DD.MM.YYYY'), to_char(r.shown_until, 'DD.MM.YYYY'),
            coalesce(to_char(r.blocks_until, 'DD.MM.YYYY'), ''),
            CASE WHEN s.mandatory THEN 'J' ELSE 'N' END, coalesce(CAST(s.priority AS text), '')
        ] END
    FROM of_one r
    LEFT JOIN unnest(CAST(:orders AS text[]), CAST(:on_channels AS text[]), CAST(:media AS text[]),
            CAST(:mandatory AS boolean[]), CAST(:priorities AS smallint[]))
        AS s(order_number, channel, medium, mandatory, priority)
        ON s.order_number = r.order_number AND s.channel = r.channel
    WHERE r.place = 1 OR r.is_on AND r.channel = ANY(CAST(:shown AS text[]))
""")
"""One line for each person, order and channel (place 1), of the newest of its messages. A further message that is shown
by that line has a place without values: it is sent with it."""


def prepare_state(engine: sa.Engine, bank: Institute, day: date, *, again: bool = False) -> int | None:
    """Fix the file of the day, in one transaction. Returns its id; None if there is one already, unless `again`.

    Older ones that nobody has fetched are over. What is prepared and drops out ends as withheld, with its event.
    """
    with engine.begin() as connection:
        lock_until_commit(connection, Lock.PREPARED, int(bank.blz))
        if not again and has_state(connection, bank.blz, day):
            return None
        supersede_older(connection, bank.blz, BAP_STATE.kind)
        _end_dropped_out(connection, bank, day)
        connection.execute(
            sa.delete(told_in_bap).where(told_in_bap.c.institute == bank.blz, told_in_bap.c.last_day < day)
        )
        file = new_file(connection, BAP_STATE, FileStamp(bank.blz, "", 0, 0, clock.now()), last_day=day)
        written = connection.execute(_STATE, {"file": file, **_parameters(bank, day)})
        connection.execute(
            sa.update(prepared_files).where(prepared_files.c.id == file).values(rows=max(written.rowcount, 0))
        )
    return file


def has_state(connection: sa.Connection, institute: str, day: date) -> bool:
    """Whether the bank's file of that day was fixed."""
    of = prepared_files.c
    of_day = sa.exists().where(of.institute == institute, of.kind == BAP_STATE.kind, on_day(of.stamped_at, day))
    return bool(connection.scalar(sa.select(of_day)))


def _end_dropped_out(connection: sa.Connection, bank: Institute, day: date) -> None:
    """End what waits to be shown, and may be no longer."""
    of, moment = messages.c, clock.now()
    waiting = connection.scalars(
        sa.select(of.id)
        .where(of.institute == bank.blz, of.state == sa.literal_column(f"'{MessageState.PREPARED}'"))
        .where(of.channel.in_(SHOWN_CHANNELS))
        .order_by(of.id)
        .with_for_update()
    ).all()
    against = reasons(connection, Policy.of(bank), waiting, day, DROPS_OUT)
    for reason in DROPS_OUT:
        ids = [id_ for id_, found in against.items() if found[0] is reason]
        connection.execute(
            sa.update(messages)
            .where(of.id.in_(ids))
            .values(state=MessageState.WITHHELD, reason=reason, reasons=[reason], ended_at=moment)
        )
        record(connection, [Event(id_, reason.event, moment, reason.code) for id_ in ids])


def _parameters(bank: Institute, day: date) -> dict[str, Any]:
    policy, sent = Policy.of(bank), list(_sent(bank))
    orders, channels, media, mandatory, priorities = zip(*sent, strict=True) if sent else ((),) * 5
    return {
        "institute": bank.blz,
        "day": day,
        "end": due_bounds(day)[1],
        "estate_bars": policy.estate_bars,
        "refusing": policy.refusing,
        "shown": list(SHOWN_CHANNELS),
        "channels": list(KINDS),
        "kinds": list(KINDS.values()),
        "orders": list(orders),
        "on_channels": list(channels),
        "media": list(media),
        "mandatory": list(mandatory),
        "priorities": list(priorities),
    }


def _sent(bank: Institute) -> Iterator[tuple[str, ChannelName, str, bool, int | None]]:
    """Order, channel, medium, whether it is mandatory, and the priority of its occasion, of all that campaigns send."""
    known = occasions().whole
    for campaign in bank.campaigns:
        occasion = known.get(campaign.announces.occasion) if campaign.announces else None
        for channel in campaign.channels:
            medium = next(iter(campaign.media_of(channel)), "")
            yield campaign.order, channel, medium, campaign.mandatory, occasion.priority if occasion else None
