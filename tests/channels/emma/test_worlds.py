"""Random worlds: whatever is lost, killed, paused and repeated, nobody gets two and both sides agree in the end."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from reku.foundation import clock
from reku.foundation.errors import StageError
from reku.process.emma import look_after_emma
from reku.simulator.emma.account import EMAIL, KEY
from reku.simulator.emma.server import EmmaServer, Trouble
from reku_testing.dispatching import BANK, events, states
from tests.channels.emma.conftest import EmmaBank


class Killed(BaseException):
    """The process ended there."""


@pytest.mark.parametrize("seed", range(3))
def test_both_sides_agree_in_the_end(
    bank: EmmaBank, emma: EmmaServer, clock_at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - a world, not a secret
    emma.repeat_at_borders = True
    post, deadly, reacting = httpx.Client.post, False, True

    def fragile(self: httpx.Client, function: str, **given: Any) -> httpx.Response:
        nonlocal reacting
        if deadly and chance.random() < 0.15:
            raise Killed
        answer = post(self, function, **given)
        if deadly and chance.random() < 0.15:
            raise Killed
        if reacting and bank.account.people and chance.random() < 0.1:
            person = chance.choice(list(bank.account.people))
            chance.choice([bank.account.opt_out, lambda one: bank.account.note("bounces", bank.mailing, one)])(person)
        return answer

    monkeypatch.setattr(httpx.Client, "post", fragile)
    bank.account.withheld = {"person2@kunde.example": "blacklist"}
    deliveries = [bank.load(3, number=number, first=3 * number - 50) for number in (17, 18)]
    deadly = True
    for _step in range(25):
        if chance.random() < 0.4:
            functions = ["importRecipients", "getImports", "getOptouts", ""]
            trouble = Trouble(chance.choice(functions), status=503, afterwards=chance.random() < 0.5)
            emma.troubles.extend([trouble] * chance.choice([1, 5]))
        bank.account.mailings[bank.mailing]["status"] = chance.choice(["activated"] * 5 + ["paused"])
        try:
            if chance.random() < 0.6:
                bank.send(chance.choice(deliveries))
            else:
                look_after_emma(bank.database, BANK)
        except (Killed, StageError):
            pass
        clock_at(clock.now() + timedelta(seconds=chance.choice([1, 40, 90])))
    deadly = reacting = False
    emma.troubles.clear()
    bank.account.mailings[bank.mailing]["status"] = "activated"
    for delivery in deliveries:
        clock_at(clock.now() + timedelta(minutes=2))
        bank.send_out(delivery)
    look_after_emma(bank.database, BANK)
    look_after_emma(bank.database, BANK)
    went = Counter(one["values"][KEY] for one in bank.account.events["recipients", bank.mailing])
    assert set(went.values()) <= {1}
    told = states(bank.database)
    assert told["SENT"] == len(went) == events(bank.database)["SENT", ""]
    assert told["SENT"] + told["WITHHELD"] == told.total() == 6
    away = {one["values"][EMAIL] for one in bank.account.optouts}
    unsubscribed = sum(count for (kind, _), count in events(bank.database).items() if kind == "UNSUBSCRIBED")
    assert unsubscribed == len(away)
