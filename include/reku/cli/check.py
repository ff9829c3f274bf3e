"""`reku check`: the whole configuration, every fault at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import typer

from reku.cli.group import FAULT
from reku.cli.output import Json, print_json, working
from reku.foundation.errors import ConfigError

_EXCHANGED = ("VREKU", "REKU", "VIAM", "IAMW", "RESPONSE", "QUITTUNG")
"""Kinds of files that the stages ask for by name."""
_DELIVERED = ("REKU", "IAMW")
"""Those that bring people."""


def check(as_json: Json = False) -> None:
    """Check the whole configuration.

    That is occasions, media, institutes, contracts, rules of the gate, of bounces and of bots, names of products, and
    the teams that are told. Every fault is shown with file, line, the wrong value, the valid ones and a suggestion.
    Exits with 1 if there is any.
    Nothing is changed, and no database is needed.

    Example: `reku check --json`.
    """
    from reku.foundation.settings import settings

    folder = settings().config_dir
    with working("Compiling every medium for every bank"):
        faults = _faults(folder)
    counts = _counts(folder) if not faults else {}
    if as_json:
        print_json({"folder": str(folder), "faults": [_fields(fault) for fault in faults], "counts": counts})
    else:
        for fault in faults:
            typer.echo(str(fault))
        if faults:
            typer.echo(f"{len(faults)} {'faults' if len(faults) > 1 else 'fault'} in {folder}", err=True)
        else:
            typer.echo(f"all fine: {', '.join(f'{count} {name}' for name, count in counts.items())}")
    if faults:
        raise typer.Exit(FAULT)


def _faults(folder: Path) -> list[ConfigError]:
    """All faults in order of file and line, each once, whoever finds it."""
    from reku.catalogue import alarm_teams, bot_rules, bounce_rules, link_domains, product_texts
    from reku.catalogue.check import check_catalogue as check_catalogue
    from reku.channels.email.media.compile import media_faults
    from reku.channels.email.media.variants import variant_faults
    from reku.channels.letter.trial import letter_faults
    from reku.foundation.yaml_source import load_all
    from reku.gate.rule_files import check_occasion_rules, check_rule_files
    from reku.process.emma import account_faults
    from reku.process.systems import channel_faults
    from reku.records import Contract

    faults = check_catalogue(folder)
    # What is told of a whole folder (a file of it is missing) need not be told of that file as well.
    told_of = {fault.file for fault in faults if fault.line is None}
    faults += [fault for fault in _tried(media_faults) if fault.file.parent not in told_of]
    faults += [fault for fault in _tried(letter_faults) if fault.file.parent not in told_of]
    faults += _tried(variant_faults)
    contracts = folder / "contracts"
    broken = [fault for file in sorted(contracts.glob("*.yaml")) for fault in load_all(file, Contract)[1]]
    # The rules are held against the contracts, so they wait until those are whole.
    faults += broken or _tried(lambda: _missing_contracts(contracts))
    if not broken:
        faults += _tried(lambda: check_rule_files(folder / "expectations", contracts))
        faults += _tried(lambda: check_occasion_rules(folder))
        faults += _tried(lambda: _unknown_flags(folder, contracts))
    for own, model in (
        (folder / bounce_rules.FILE, bounce_rules.BounceRules),
        (folder / bot_rules.FILE, bot_rules.BotRules),
        (folder / product_texts.FILE, product_texts.ProductTexts),
        (folder / link_domains.FILE, link_domains.LinkDomains),
        (folder / alarm_teams.FILE, alarm_teams.AlarmTeams),
    ):
        if own.exists():  # a configuration without one takes the shipped rules
            faults += load_all(own, model)[1]
    faults += _tried(channel_faults)
    faults += _tried(account_faults)
    faults += _tried(_judged_too_soon)
    once = {str(fault): fault for fault in faults}
    return sorted(once.values(), key=lambda fault: (str(fault.file), fault.line or 0))


def _missing_contracts(folder: Path) -> list[ConfigError]:
    from reku.records import load_contracts

    return [
        ConfigError(f"There is no contract of kind {kind}, and files of this kind are exchanged.", file=folder)
        for kind in _EXCHANGED
        if kind not in load_contracts(folder)
    ]


def _unknown_flags(folder: Path, contracts: Path) -> Iterator[ConfigError]:
    """Fields that a bank's contact rules look at and no delivery has: the rule would never hold, silently."""
    from reku.catalogue import institutes
    from reku.catalogue.fields import CONTACT_PERSON_FIELD, ESTATE_FIELD, HOUSEHOLD_FIELD, REFUSAL_FIELD
    from reku.foundation.yaml_source import line_of
    from reku.records import load_contracts

    selected = {
        "refusal": {REFUSAL_FIELD},
        "estate": {ESTATE_FIELD},
        "household": {HOUSEHOLD_FIELD},
        "contact_person": {CONTACT_PERSON_FIELD},
    }  # where we select the people: key of the contact rules → the fields that it may name
    known = load_contracts(contracts)
    delivered = {column.name for kind in _DELIVERED if kind in known for column in known[kind].columns}
    for blz, bank in institutes(folder).whole.items():
        file = folder / "institutes" / f"{blz}.yaml"
        for place, field in bank.contact.fields():
            fields = selected[place[0]] if bank.delivers_data else delivered
            if field not in fields:
                whose = "the data of this bank say so in no" if bank.delivers_data else "no delivery has the"
                problem = f"contact, {place[0]}: {whose} field {field!r}, so this rule would never hold."
                line = line_of(file, ("contact", *place))
                yield ConfigError(problem, file=file, line=line, value=field, valid=sorted(fields))


def _judged_too_soon() -> Iterator[ConfigError]:
    """A settle time in which the rest of a bot's burst has not come yet."""
    from reku.catalogue.bot_rules import FILE, bot_rules
    from reku.foundation.settings import configured, settings

    seconds, reach = settings().hit_settle_seconds, bot_rules().reach.total_seconds()
    if seconds < reach:
        yield ConfigError(
            f"A rule looks at hits {reach:g} seconds apart, and opens and clicks are judged after {seconds:g}: set "
            f"REKU_HIT_SETTLE_SECONDS to {reach:g} or more.",
            file=configured(FILE),
        )


def _tried(look: Callable[[], Iterable[ConfigError]]) -> list[ConfigError]:
    """What `look` finds, or the fault that it stops at."""
    try:
        return list(look())
    except ConfigError as error:
        return [error]


def _counts(folder: Path) -> dict[str, int]:
    from reku.catalogue import institutes, media, occasions
    from reku.gate.rule_files import load_occasion_rules, load_rule_files
    from reku.records import load_contracts

    banks, contracts = institutes(folder), load_contracts(folder / "contracts")
    shared = load_rule_files(folder / "expectations", folder / "contracts").values()
    own = [file.rules for code in occasions(folder) if (file := load_occasion_rules(folder, code))]
    return {
        "occasions": len(occasions(folder)),
        "media": len(media(folder)),
        "institutes": len(banks),
        "campaigns": sum(len(bank.campaigns) for bank in banks.values()),
        "contracts": len(contracts),
        "rules of the gate": sum(map(len, (*shared, *own))),
    }


def _fields(fault: ConfigError) -> dict[str, object]:
    return {
        "file": str(fault.file),
        "line": fault.line,
        "problem": fault.problem,
        "value": fault.value,
        "valid": list(fault.valid),
        "suggestion": fault.suggestion,
        "text": str(fault),
    }
