"""How fast mails go out: never faster than the limits, by the relay's own clock; a slow domain slows nobody else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.catalogue import institutes
from reku.catalogue.institute import Institute, RateLimits
from reku.dispatch import queue, rate_limit
from reku.foundation import clock
from reku.store.tables import rate_limits
from reku_testing.dispatching import (
    BANK,
    DAY,
    NINE,
    NO_CONTROL_COPY,
    Sink,
    account,
    change_settings,
    configure,
    dispatch,
    loaded,
    people,
    states,
)

LIMITS = 'limits: {per_second: 200, per_domain: {"*": 100}}'
BURST = 6
"""So many mails may come together: one on each connection, and what the network delays."""
STALL = 1.5
"""Seconds that a busy machine may stop for; what has become due meanwhile then comes at once."""


def _limited(**limits: object) -> Institute:
    return institutes()[BANK].model_copy(update={"limits": RateLimits.model_validate(limits)})


def _reserve(engine: sa.Engine, institute: Institute, addresses: Sequence[str]) -> list[float]:
    with engine.begin() as connection:
        return rate_limit.reserve(connection, institute.blz, institute.limits, addresses)


def _slots(engine: sa.Engine) -> dict[str, float]:
    """Seconds until the next slot, by domain."""
    with engine.connect() as connection:
        wait = sa.func.extract("epoch", rate_limits.c.next_at - sa.func.clock_timestamp())
        return {domain: float(seconds) for domain, seconds in connection.execute(sa.select(rate_limits.c.domain, wait))}


def _forget(engine: sa.Engine) -> None:
    """Let all the time pass that anybody has to wait for."""
    with engine.begin() as connection:
        connection.execute(sa.update(rate_limits).values(next_at=sa.func.clock_timestamp()))


def test_each_mail_gets_the_next_slot_of_institute_and_domain(database: sa.Engine) -> None:
    institute = _limited(per_second=10, per_domain={"slow.example": 1})
    waits = _reserve(database, institute, ["a@slow.example", "b@fast.example", "c@SLOW.example"])
    assert waits == pytest.approx([0, 0.1, 1], abs=0.05)
    waits = _reserve(database, institute, ["d@slow.example", "e@fast.example"])
    assert waits[0] == pytest.approx(2, abs=0.5)
    assert waits[1] <= 0.4
    assert _slots(database).keys() == {"", "slow.example"}


def test_a_slot_that_has_passed_is_not_kept(database: sa.Engine) -> None:
    institute = _limited(per_second=1)
    _reserve(database, institute, ["a@kunde.example"] * 3)
    with database.begin() as connection:
        connection.execute(sa.update(rate_limits).values(next_at=sa.func.clock_timestamp() - timedelta(hours=1)))
    assert _reserve(database, institute, ["a@kunde.example"] * 3) == pytest.approx([0, 1, 2], abs=0.5)


def test_two_dispatchers_share_the_slots(database: sa.Engine) -> None:
    institute = _limited(per_domain={"*": 1})
    assert _reserve(database, institute, ["a@kunde.example"] * 2) == pytest.approx([0, 1], abs=0.1)
    assert _reserve(database, institute, ["b@kunde.example"] * 2) == pytest.approx([2, 3], abs=0.5)


def test_no_limits_no_slots(database: sa.Engine) -> None:
    assert _reserve(database, _limited(per_domain={"slow.example": 1}), ["a@kunde.example"] * 9) == [0.0] * 9
    assert _slots(database) == {}


def test_a_domain_rests_longer_each_time_until_it_takes_a_mail(database: sa.Engine) -> None:
    with database.begin() as connection:
        rests = [rate_limit.slow_down(connection, BANK, "slow.example") for _ in range(7)]
        assert rests == pytest.approx([30, 60, 120, 300, 600, 600, 600], abs=1)
        assert rate_limit.waiting(connection, BANK) == ["slow.example"]
        assert rate_limit.waiting(connection, "99990002") == []
        rate_limit.takes_again(connection, BANK, "slow.example")
        assert rate_limit.slow_down(connection, BANK, "slow.example") == pytest.approx(30, abs=1)


def test_a_claim_at_a_slow_pace_is_a_short_one() -> None:
    assert rate_limit.batch(RateLimits(), 200) == 200
    assert rate_limit.batch(RateLimits(per_second=10), 200) == 20
    assert rate_limit.batch(RateLimits(per_second=0.1), 200) == 1


def _held_to(sink: Sink, rate: float, domain: str = "") -> None:
    """Of any two mails, those between them took the time that they must take."""
    came = sorted(mail.at for mail in sink.taken if mail.recipient.endswith(domain))
    for first in range(len(came)):
        for last in range(first, len(came)):
            assert last - first <= (came[last] - came[first] + STALL) * rate + BURST


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.processes)])
def test_limits_hold(
    database: sa.Engine, sink: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    configure(
        tmp_path,
        monkeypatch,
        bank=[NO_CONTROL_COPY, (LIMITS, "limits: {per_second: 20, per_domain: {slow.example: 4}}")],
    )
    change_settings(monkeypatch, dispatch_processes=processes, dispatch_large=1, dispatch_batch=20)
    rows = people(14, domain="slow.example") + people(46, first=100)
    done = dispatch(database, loaded(database, rows), day=DAY)
    assert done.sent == 60
    _held_to(sink, 20)
    _held_to(sink, 4, "@slow.example")
    account(database, sink)


def test_a_slow_domain_lets_the_others_pass(
    database: sa.Engine, sink: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(tmp_path, monkeypatch, bank=[NO_CONTROL_COPY, (LIMITS, "limits: {per_domain: {slow.example: 20}}")])
    rows = people(30, domain="slow.example") + people(30, first=100)
    assert dispatch(database, loaded(database, rows), day=DAY).sent == 60
    domains = [mail.recipient.partition("@")[2] for mail in sink.taken]
    assert "slow.example" in domains[-10:]
    assert "kunde.example" not in domains[-10:]


def test_421_slows_its_domain_only(
    database: sa.Engine,
    sink: Sink,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    clock_at: Callable[[datetime], None],
) -> None:
    configure(tmp_path, monkeypatch, bank=[NO_CONTROL_COPY])
    monkeypatch.setattr(queue, "RETRY_AFTER", (0.0,))
    monkeypatch.setattr(rate_limit, "SLOWED_FOR", (3600, 7200))
    tried: list[str] = []

    def too_fast(point: str, recipient: str) -> str | None:
        if point == "rcpt" and recipient.endswith("@slow.example"):
            tried.append(recipient)
            return "421 4.7.28 too many mails from you"
        return None

    sink.say = too_fast
    rows = [row for pair in zip(people(40, domain="slow.example"), people(40, first=100), strict=True) for row in pair]
    delivery = loaded(database, rows)
    done = dispatch(database, delivery, day=DAY)
    assert (done.sent, done.put_off) == (40, 40)
    assert done.next_try is not None
    assert timedelta(minutes=50) < done.next_try - clock.now() <= timedelta(hours=2)
    assert len(tried) <= 2 * 4  # on each connection one, and one that was offered ahead
    assert dispatch(database, delivery, day=DAY).sent == 0
    assert len(tried) <= 2 * 4
    sink.say = lambda _point, _recipient: None
    _forget(database)
    clock_at(NINE + timedelta(hours=2))
    assert dispatch(database, delivery, day=DAY).sent == 40
    assert states(database) == {"SENT": 80}
    with database.connect() as connection:
        assert connection.scalars(
            sa.select(rate_limits.c.slowed).where(rate_limits.c.domain == "slow.example")
        ).all() == [0]
    account(database, sink)
