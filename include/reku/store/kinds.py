"""Closed vocabularies of columns that are no states: kept by CHECK constraints, worded once."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """What one row that breaks a rule brings about."""

    REFUSE = "refuse"  # the whole delivery is refused
    REJECT = "reject"  # the row is kept out
    WARN = "warn"  # the row goes on, the breach is counted


class SuppressionKind(StrEnum):
    """Why an address is barred."""

    UNSUBSCRIBED = "UNSUBSCRIBED"
    COMPLAINED = "COMPLAINED"
    BLACKLISTED = "BLACKLISTED"


class HitVerdict(StrEnum):
    """Who opened or clicked."""

    PERSON = "PERSON"
    MACHINE = "MACHINE"


class ResponseKind(StrEnum):
    """Kinds of events, as the OSPlus response file names them (docs/file-contracts.md, "RESPONSE")."""

    VERS = "VERS"  # sent
    ZUGE = "ZUGE"  # delivered
    OEFF = "OEFF"  # opened
    KLIC = "KLIC"  # clicked
    ABME = "ABME"  # unsubscribed
    BESC = "BESC"  # complained
    HBOU = "HBOU"  # hard bounce
    SBOU = "SBOU"  # soft bounce
    UBOU = "UBOU"  # bounce of unknown class
    ZRUE = "ZRUE"  # retained: address barred after three hard bounces in a row
    NVER = "NVER"  # not sent
