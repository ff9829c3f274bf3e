"""Every fault of the whole configuration at once, for `reku check`; Airflow's parsing never comes here.

What single files say of themselves is found by reading them. Here they are held against one another as well. Templates
are only looked for: what stands in them is checked by the room that compiles them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from reku.catalogue import loader
from reku.catalogue.campaign import Campaign, SendBlock
from reku.catalogue.institute import Institute
from reku.catalogue.loader import Entries
from reku.catalogue.medium import Medium, folder_of
from reku.catalogue.missed_dates import missed_dates
from reku.catalogue.occasion import Occasion
from reku.catalogue.rhythm import Rhythm, Schedule
from reku.catalogue.selection import Selection
from reku.foundation import yaml_source
from reku.foundation.errors import ConfigError

ModelT = TypeVar("ModelT", bound=BaseModel)

MEDIUM_FILES = ("medium.yaml", "mail.mjml", "mail.txt")
"""What a medium's folder must hold."""

LONGEST_KEY_TOLD = 40
"""Characters of Werbemittel in BAP_STEUERUNG, and of Vorlage in AGREEMAILING."""

_READ_ELSEWHERE = ("contracts", "expectations", "expectations/deliveries", "expectations/occasions")
"""Folders whose rooms own the models; here they must only be YAML."""


def check_catalogue(config_dir: Path) -> list[ConfigError]:
    """All faults of the configuration below this folder, by file and line; none if it is whole."""
    faults: list[ConfigError] = []
    occasions = _all(loader.occasions, config_dir, faults)
    media = _all(loader.media, config_dir, faults)
    institutes = _all(loader.institutes, config_dir, faults)
    faults += _unread_files(config_dir)
    faults += _incomplete_folders(config_dir)
    faults += _occasions_against_media(config_dir, occasions, media)
    faults += _media_against_occasions(config_dir, occasions, media)
    faults += _campaigns_against_media(config_dir, institutes, media)
    faults += _media_told_of(config_dir, institutes)
    faults += _blocking_against_media(config_dir, institutes, media)
    faults += _announced_against_occasions(config_dir, institutes, occasions)
    faults += _rhythm_against_window(config_dir, institutes, occasions)
    faults += _plain_yaml(config_dir)
    return sorted(faults, key=lambda fault: (str(fault.file), fault.line or 0))


def _all(load: Callable[[Path], Entries[ModelT]], config_dir: Path, faults: list[ConfigError]) -> Entries[ModelT]:
    """The entries, with what is wrong with them added to `faults`."""
    try:
        entries = load(config_dir)
    except ConfigError as error:
        faults.append(error)
        return Entries({}, {})
    faults += entries.faults
    return entries


def _unread_files(config_dir: Path) -> Iterator[ConfigError]:
    """Files that somebody meant to be read and nobody reads."""
    for folder in ("occasions", "institutes", *_READ_ELSEWHERE):
        for file in (config_dir / folder).glob("*"):
            if file.suffix.lower() in (".yml", ".yaml") and file.suffix != ".yaml":
                yield ConfigError(f"The file is not read. Rename it to {file.stem}.yaml.", file=file)


def _medium_folders(config_dir: Path) -> list[Path]:
    return [folder for folder in (config_dir / "templates").glob("*/*") if folder.is_dir()]


def _incomplete_folders(config_dir: Path) -> Iterator[ConfigError]:
    for folder in _medium_folders(config_dir):
        for name in MEDIUM_FILES:
            if not (folder / name).is_file():
                yield ConfigError(f"The medium lacks its {name}. Each needs {', '.join(MEDIUM_FILES)}.", file=folder)


def _occasions_against_media(
    config_dir: Path, occasions: Entries[Occasion], media: Entries[Medium]
) -> Iterator[ConfigError]:
    for occasion in occasions.whole.values():
        file = config_dir / "occasions" / f"{occasion.code}.yaml"
        for number, key in enumerate(occasion.media):
            line = yaml_source.line_of(file, ("media", number))
            if key not in media:
                yield _unknown_medium("media", key, media, file, line)
            elif (medium := media.whole.get(key)) and _is_made_for_others(medium, occasion):
                yield ConfigError(
                    f"{key} is made for {', '.join(medium.occasions)}, not for {occasion.code}: leave it out here, "
                    f"or add {occasion.code} to `occasions` of templates/{medium.folder}/medium.yaml.",
                    file=file,
                    line=line,
                )


def _is_made_for_others(medium: Medium, occasion: Occasion) -> bool:
    """Whether a standard occasion uses a medium of others. A bank's own occasion may use any."""
    return occasion.is_standard and bool(medium.occasions) and occasion.code not in medium.occasions


def _media_against_occasions(
    config_dir: Path, occasions: Entries[Occasion], media: Entries[Medium]
) -> Iterator[ConfigError]:
    for medium in media.whole.values():
        file = config_dir / "templates" / medium.folder / "medium.yaml"
        for number, code in enumerate(medium.occasions):
            line = yaml_source.line_of(file, ("occasions", number))
            if code not in occasions:
                yield ConfigError(
                    f"occasions: there is no occasion {code!r}.", file=file, line=line, value=code, valid=occasions
                )
            elif (occasion := occasions.whole.get(code)) and medium.key not in occasion.media:
                yield ConfigError(
                    f"{medium.key} is made for {code}, but `media` of occasions/{code}.yaml does not name it.",
                    file=file,
                    line=line,
                )


def _campaigns_against_media(
    config_dir: Path, institutes: Entries[Institute], media: Entries[Medium]
) -> Iterator[ConfigError]:
    for institute in institutes.whole.values():
        file = config_dir / "institutes" / f"{institute.blz}.yaml"
        for number, campaign in enumerate(institute.campaigns):
            where = f"campaign {campaign.name!r}, block send"
            for block, key in _sent(campaign):
                line = yaml_source.line_of(
                    file, ("campaigns", number, "blocks", block, "media" if campaign.is_by_mail_only else "channels")
                )
                if key not in media:
                    yield _unknown_medium(where, key, media, file, line)
                elif key not in media.whole or not _is_complete(config_dir, key):
                    yield ConfigError(
                        f"{where}: {key} cannot be mailed, since templates/{folder_of(key)} has faults of its own.",
                        file=file,
                        line=line,
                    )


def _media_told_of(config_dir: Path, institutes: Entries[Institute]) -> Iterator[ConfigError]:
    """The bank's systems are told of a medium by its key, for which they have so much room."""
    for institute in institutes.whole.values():
        file = config_dir / "institutes" / f"{institute.blz}.yaml"
        for number, campaign in enumerate(institute.campaigns):
            for block, key in _sent(campaign) if campaign.announces else ():
                if len(key) > LONGEST_KEY_TOLD:
                    yield ConfigError(
                        f"campaign {campaign.name!r}, block send: agree21BAP and agreeMailing take keys of media up to "
                        f"{LONGEST_KEY_TOLD} characters, this one has {len(key)}. Give the medium a shorter key.",
                        file=file,
                        line=yaml_source.line_of(file, ("campaigns", number, "blocks", block)),
                        value=key,
                    )


def _blocking_against_media(
    config_dir: Path, institutes: Entries[Institute], media: Entries[Medium]
) -> Iterator[ConfigError]:
    for institute in institutes.whole.values():
        file = config_dir / "institutes" / f"{institute.blz}.yaml"
        for key in institute.contact.blocking_days:
            if key not in media:
                line = yaml_source.line_of(file, ("contact", "blocking_days", key))
                yield _unknown_medium("contact, blocking_days", key, media, file, line)


def _announced_against_occasions(
    config_dir: Path, institutes: Entries[Institute], occasions: Entries[Occasion]
) -> Iterator[ConfigError]:
    """A campaign can announce an occasion only if that says whom we select."""
    for institute in institutes.whole.values():
        file = config_dir / "institutes" / f"{institute.blz}.yaml"
        for number, campaign in enumerate(institute.campaigns):
            if campaign.announces is None:
                continue
            code, where = campaign.announces.occasion, f"campaign {campaign.name!r}, announces"
            line = yaml_source.line_of(file, ("campaigns", number, "announces", "occasion"))
            if code not in occasions:
                yield ConfigError(
                    f"{where}: there is no occasion {code!r}.", file=file, line=line, value=code, valid=occasions
                )
            elif (occasion := occasions.whole.get(code)) and not isinstance(occasion.selection, Selection):
                yield ConfigError(
                    f"{where}: occasions/{code}.yaml has no rule that selects people. Announce another occasion, or "
                    "give it a `selection`.",
                    file=file,
                    line=line,
                )
            elif occasion is not None and isinstance(occasion.selection, Selection):
                yield from _impulses_against_rule(file, number, campaign, occasion.selection.row == "impulse")


def _impulses_against_rule(file: Path, number: int, campaign: Campaign, by_impulses: bool) -> Iterator[ConfigError]:
    """A campaign names codes of impulses if, and only if, its occasion is selected by impulses."""
    if by_impulses == bool(campaign.impulses) or campaign.announces is None:
        return
    where, code = f"campaign {campaign.name!r}", campaign.announces.occasion
    if by_impulses:
        yield ConfigError(
            f"{where}: {code} is selected by impulses. Name the codes that the campaign answers: `impulses: [CODE]`.",
            file=file,
            line=yaml_source.line_of(file, ("campaigns", number, "announces", "occasion")),
        )
    else:
        yield ConfigError(
            f"{where}, impulses: occasions/{code}.yaml selects no impulses. Leave the codes out, or announce an "
            "occasion whose rule has `row: impulse`.",
            file=file,
            line=yaml_source.line_of(file, ("campaigns", number, "impulses")),
        )


def _rhythm_against_window(
    config_dir: Path, institutes: Entries[Institute], occasions: Entries[Occasion]
) -> Iterator[ConfigError]:
    """An order must be due often enough for the occasion's window: who falls between two due dates hears nothing."""
    for institute in institutes.whole.values():
        file = config_dir / "institutes" / f"{institute.blz}.yaml"
        for number, campaign in enumerate(institute.campaigns):
            announced = campaign.announces
            occasion = occasions.whole.get(announced.occasion) if announced else None
            if announced is None or occasion is None:
                continue
            window, rhythm = occasion.window, announced.rhythm
            schedule = Schedule(
                rhythm,
                announced.valid_from,
                announced.valid_until,
                institute.state,
                institute.daily_on,
                institute.due_on_holiday,
            )
            missed = missed_dates(schedule, window, campaign.permitted_weekdays)
            if missed is None:
                continue
            days = window.last_day - window.first_day + 1
            if days >= missed.longest_gap:
                cure = "permit more weekdays, one of them in each window"
            elif rhythm is Rhythm.TAEGLICH:
                cure = f"`daily_on: all_days`, or a window of {missed.longest_gap} days"
            else:
                cure = f"TAEGLICH, or a window of {missed.longest_gap} days"
            yield ConfigError(
                f"campaign {campaign.name!r}, announces: {missed.number} of {missed.looked_at} days are missed in "
                f"silence (the first: Anlass_Datum {missed.first:%d.%m.%Y}). The window of {announced.occasion} is "
                f"{days} day(s) long, due dates are up to {missed.longest_gap} days apart; some "
                f"windows open and end between two, or hold no permitted weekday after one. Right would be: {cure}.",
                file=file,
                line=yaml_source.line_of(file, ("campaigns", number, "announces", "rhythm")),
                value=rhythm.value,
            )


def _sent(campaign: Campaign) -> list[tuple[int, str]]:
    """The media of the send block, of all its channels, each with the number of the block."""
    return [
        (number, key)
        for number, block in enumerate(campaign.blocks)
        if isinstance(block, SendBlock)
        for key in campaign.send_media
    ]


def _is_complete(config_dir: Path, key: str) -> bool:
    return all((config_dir / "templates" / folder_of(key) / name).is_file() for name in MEDIUM_FILES)


def _unknown_medium(where: str, key: str, media: Entries[Medium], file: Path, line: int) -> ConfigError:
    return ConfigError(f"{where}: there is no medium {key!r}.", file=file, line=line, value=key, valid=media)


def _plain_yaml(config_dir: Path) -> Iterator[ConfigError]:
    for folder in _READ_ELSEWHERE:
        for file in (config_dir / folder).glob("*.yaml"):
            try:
                yaml_source.read_plain(file)
            except ConfigError as error:
                yield error
