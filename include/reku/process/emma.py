"""A bank's EMMA account is looked after: bars go there, imports are followed, what came back is read."""

from __future__ import annotations

import logging

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reku.catalogue import institutes
from reku.catalogue.institute import Institute
from reku.channels.emma.accounts import login_of, open_client
from reku.channels.emma.bars import carry_bars
from reku.channels.emma.client import EmmaClient
from reku.channels.emma.importing import follow_imports
from reku.channels.emma.polling import poll
from reku.channels.emma.reconcile import Difference, reconcile
from reku.foundation import clock
from reku.foundation.errors import ConfigError, SetupError
from reku.foundation.settings import settings
from reku.foundation.yaml_source import line_of
from reku.process.answers import Counts
from reku.process.systems import bank_named
from reku.store.tables import emma_cursors

log = logging.getLogger(__name__)

RECONCILIATION = "reconciliation"
"""What stands in place of a call in the cursors: when both sides were held against each other last."""
HOUR = 2
"""From this hour on (Berlin) a night's reconciliation is due."""


def banks_with_emma() -> list[str]:
    """The BLZ of each bank with a campaign that goes by EMMA, and of those whose file is broken: their work says so."""
    known = institutes()
    return [
        blz for blz in known if blz not in known.whole or any(campaign.emma for campaign in known.whole[blz].campaigns)
    ]


def account_faults() -> list[ConfigError]:
    """Campaigns that go by EMMA at a bank whose account the settings do not know: nothing of theirs would be sent."""
    faults = []
    for blz in institutes().whole:
        file = settings().config_dir / "institutes" / f"{blz}.yaml"
        for number, campaign in enumerate(institutes().whole[blz].campaigns):
            try:
                _ = campaign.emma and login_of(blz)
            except SetupError as error:
                line = line_of(file, ("campaigns", number, "blocks"))
                faults.append(ConfigError(f"campaign {campaign.name!r} goes by EMMA. {error}", file=file, line=line))
    return faults


def look_after_emma(engine: sa.Engine, institute: str) -> Counts:
    """One look at a bank's account. Bars go there first.

    Raises SetupError for a bank without account, StageError for a fault of the account, EmmaAway if it is away.
    """
    bank = bank_named(institute)
    with open_client(institute) as client:
        counts: Counts = {
            "barred_there": carry_bars(engine, bank, client),
            "imports": follow_imports(engine, bank, client),
        }
        counts |= dict(poll(engine, bank, client))
        if is_reconciliation_due(engine, institute):
            differences = reconcile_now(engine, bank, client)
            counts["differences"] = sum(one.count for one in differences)
    return counts


def is_reconciliation_due(engine: sa.Engine, institute: str) -> bool:
    """Whether both sides were not held against each other since the beginning of this night's hour."""
    moment = clock.now()
    last_due = clock.at(clock.berlin(moment).date(), HOUR)
    of = emma_cursors.c
    with engine.connect() as connection:
        last = connection.scalar(
            sa.select(of.complete_at).where(of.institute == institute, of.call == RECONCILIATION, of.mailing == 0)
        )
    return moment >= last_due and (last is None or last < last_due)


def reconcile_now(engine: sa.Engine, bank: Institute, client: EmmaClient) -> list[Difference]:
    """Hold both sides against each other, cure what can be cured, and note when."""
    differences = reconcile(engine, bank, client)
    for one in differences:
        log.warning("%s: %d %s", bank.blz, one.count, one.what)
    noted = insert(emma_cursors).values(institute=bank.blz, call=RECONCILIATION, mailing=0, complete_at=clock.now())
    with engine.begin() as connection:
        connection.execute(
            noted.on_conflict_do_update(
                index_elements=["institute", "call", "mailing"], set_={"complete_at": noted.excluded.complete_at}
            )
        )
    return differences
