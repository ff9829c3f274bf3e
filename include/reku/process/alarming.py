"""People are told what needs them, once for each cause, and when it is over (docs/operations.md, "Alarms")."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx
import sqlalchemy as sa

from reku.foundation import clock
from reku.foundation.errors import PassingError, SetupError
from reku.foundation.settings import settings
from reku.foundation.words import Words
from reku.process.needs import Need, needs
from reku.store.locks import Lock, lock_until_commit
from reku.store.tables import alarms

MOST_NAMED = 30
"""So many causes one message names; of the others it says how many there are."""
WORSE = 2
"""A cause is told again when so many times as many people are concerned as when it was told."""
_SECONDS = 10

Send = Callable[[str, str], None]


@dataclass(frozen=True)
class AlarmResult:
    """How many causes were new, have got worse, and are over."""

    new: int
    worse: int
    over: int


def raise_alarms(engine: sa.Engine, page: str, send: Send | None = None) -> AlarmResult:
    """Tell people in one message what is new, what has got worse and what is over since they were told last.

    `page` is the address of the list for the message. What was told is put down after the message has gone: if that
    cannot be done, it is told once more. Without `REKU_ALARM_URLS` nothing is told. Raises PassingError if the message
    cannot be sent, SetupError for an address that is none.
    """
    tell = send or _sender()
    if tell is None:
        return AlarmResult(0, 0, 0)
    with engine.begin() as connection:
        lock_until_commit(connection, Lock.ALARMS)
        now = {need.cause: need for need in needs(engine)}  # of after the lock: another look may have told meanwhile
        told = {row.cause: row for row in connection.execute(sa.select(alarms))}
        new = [need for cause, need in now.items() if cause not in told]
        worse = [need for cause, need in now.items() if cause in told and _is_worse(need, told[cause].people)]
        over = [row for cause, row in told.items() if cause not in now]
        if new or worse or over:
            tell(*_message(new, worse, over, len(now), page))
        _put_down(connection, new, worse, over)
    return AlarmResult(len(new), len(worse), len(over))


def send_heartbeat() -> bool:
    """Tell the watcher at `REKU_HEARTBEAT_URL` that all is alive; False if there is none.

    Whoever watches sounds the alarm when nothing comes any more. Raises PassingError if it cannot be told.
    """
    url = settings().heartbeat_url.get_secret_value()
    if not url:
        return False
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs whole addresses, and this one is a secret
    try:
        httpx.get(url, timeout=_SECONDS, follow_redirects=True).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise PassingError(
            f"The watcher at REKU_HEARTBEAT_URL cannot be told that all is alive ({type(error).__name__}). Check the "
            "address; the next run tries again."
        ) from None
    return True


def _sender() -> Send | None:
    """What sends a message to all of `REKU_ALARM_URLS`; None if there are none."""
    urls = settings().alarm_urls.get_secret_value().split()
    if not urls:
        return None
    from apprise import Apprise

    receivers = []
    for number, url in enumerate(urls, start=1):
        receiver = Apprise.instantiate(url)
        if receiver is None:
            raise SetupError(
                f"Address {number} of REKU_ALARM_URLS is none that messages can be sent to. Write it as apprise does: "
                "mailtos://user:password@host?to=team@bank.example, jsons://host/path …"
            )
        receivers.append(receiver)

    def send(title: str, body: str) -> None:
        """Each address by itself: told all at once, apprise says not which one is away, and leaves threads behind."""
        took = [receiver.notify(title=title, body=body) for receiver in receivers]
        if not all(took):
            away = ", ".join(str(number) for number, is_told in enumerate(took, start=1) if not is_told)
            raise PassingError(
                f"Address {away} of REKU_ALARM_URLS did not take the message. Check it; the next run tells it again."
            )

    return send


def _is_worse(need: Need, people: int | None) -> bool:
    return need.people is not None and people is not None and need.people >= max(1, people) * WORSE


def _message(
    new: Sequence[Need], worse: Sequence[Need], over: Sequence[sa.Row[tuple[object, ...]]], all_in_all: int, page: str
) -> tuple[str, str]:
    """Title and body in the language of the team."""
    title = Words(
        f"reku: {len(new)} neu, {len(worse)} schlimmer, {len(over)} erledigt",
        f"reku: {len(new)} new, {len(worse)} worse, {len(over)} over",
    )
    parts = [
        *_part(Words("Neu", "New"), [_lines(need) for need in new]),
        *_part(Words("Schlimmer geworden", "Worse"), [_lines(need) for need in worse]),
        *_part(Words("Erledigt", "Over"), [str(row.about) for row in over]),
        _in(Words(f"Offen insgesamt: {all_in_all}. {page}", f"Open in all: {all_in_all}. {page}")),
    ]
    return _in(title), "\n\n".join(parts)


def _part(heading: Words, causes: Sequence[str]) -> list[str]:
    if not causes:
        return []
    named = list(causes[:MOST_NAMED])
    if len(causes) > MOST_NAMED:
        more = len(causes) - MOST_NAMED
        named.append(_in(Words(f"… und {more} weitere", f"… and {more} more")))
    return [f"{_in(heading)}:", *named]


def _lines(need: Need) -> str:
    return f"{_about(need)}\n  {_in(need.said.what)}\n  > {_in(need.said.cure)}"


def _about(need: Need) -> str:
    """Who is concerned: bank, occasion, order, people."""
    people = None if need.people is None else _in(Words(f"{need.people} Personen", f"{need.people} people"))
    concerned = (_in(need.kind.words), need.bank, need.occasion, need.order, people)
    return " · ".join(part for part in concerned if part)


def _in(words: Words) -> str:
    return words.german if settings().alarm_language == "de" else words.english


def _put_down(
    connection: sa.Connection,
    new: Sequence[Need],
    worse: Sequence[Need],
    over: Sequence[sa.Row[tuple[object, ...]]],
) -> None:
    """What is over leaves, so that it is told anew when it comes back."""
    connection.execute(sa.delete(alarms).where(alarms.c.cause.in_([row.cause for row in over])))
    for need in new:
        connection.execute(sa.insert(alarms).values(_row(need) | {"first_told_at": clock.now()}))
    for need in worse:
        connection.execute(sa.update(alarms).where(alarms.c.cause == need.cause).values(_row(need)))


def _row(need: Need) -> dict[str, object]:
    return {
        "cause": need.cause,
        "institute": need.institute or None,
        "about": _about(need),
        "people": need.people,
        "told_at": clock.now(),
    }
