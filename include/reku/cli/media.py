"""`reku media`: the workshop of those who write media (docs/media.md)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reku.cli.group import FAULT
from reku.cli.options import Institute, OneInstitute, existing
from reku.cli.output import Json, print_json, show, working
from reku.cli.questions import Given, answers_to

if TYPE_CHECKING:
    from reku.foundation.errors import ConfigError

app = typer.Typer(
    no_args_is_help=True, help="Write media: new ones, what is wrong, what filters say.", rich_markup_mode=None
)

_AROUND = 100
"""Characters of a line that are shown of it."""


def media_beginning(incomplete: str) -> list[tuple[str, str]]:
    """The media whose key begins so, with their titles, for the completion in a shell."""
    from reku.catalogue import media

    return [(key, medium.title) for key, medium in media().whole.items() if key.startswith(incomplete.upper())]


Key = Annotated[
    str,
    typer.Argument(
        metavar="MEDIUM", help="Key of the medium, such as SCOM_GEBURTSTAG.", autocompletion=media_beginning
    ),
]
Keys = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MEDIUM]...", help="Keys of media; none: all.", show_default=False, autocompletion=media_beginning
    ),
]


@app.command("list")
def list_media(as_json: Json = False) -> None:
    """List all media.

    What they are for, whether they have a letter, and which campaigns send them.

    Example: `reku media list`.
    """
    from reku.catalogue import institutes, media
    from reku.channels.letter.medium import has_letter

    senders: dict[str, list[str]] = {}
    for blz, bank in institutes().whole.items():
        for campaign in bank.campaigns:
            for key in campaign.send_media:
                senders.setdefault(key, []).append(f"{blz}/{campaign.order}")
    rows = [
        {
            "medium": key,
            "title": medium.title,
            "occasions": list(medium.occasions) if as_json else " ".join(medium.occasions),
            "letter": has_letter(medium),
            "campaigns": senders.get(key, []) if as_json else " ".join(senders.get(key, [])),
        }
        for key, medium in sorted(media().whole.items())
    ]
    show(rows, as_json=as_json, nothing="There is no medium. `reku media new EIGEN_…` writes one.")


@app.command("new")
def new_medium(
    key: Annotated[str, typer.Argument(metavar="MEDIUM", help="Key of the new medium, such as EIGEN_SOMMERFEST.")],
    like: Annotated[
        str,
        typer.Option("--like", metavar="MEDIUM", help="Begin with a copy of this one.", show_default="the pattern"),
    ] = "",
    given: Given = None,
    as_json: Json = False,
) -> None:
    """Ask what is needed of a new medium and write its folder.

    It has mail, text and picture, is complete and passes `reku media check`; what is still to be written stands
    in it as words that say what belongs there. With --json nothing is asked, and what --set does not answer is a
    fault.

    Example: `reku media new EIGEN_SOMMERFEST`.
    """
    from reku.channels.email.media.new_medium import QUESTIONS, QUESTIONS_OF_A_LIKE, write_medium

    answers = answers_to(QUESTIONS_OF_A_LIKE if like else QUESTIONS, given, ask=not as_json)
    folder = write_medium(key, answers, like)
    if as_json:
        print_json({"medium": key, "folder": str(folder)})
    else:
        typer.echo(
            f"{folder} is written: mail.mjml, mail.txt, medium.yaml, kopf.png. Next: `reku preview {key} --watch`, and "
            f"`reku media check {key}`; docs/media.md says what belongs in them."
        )


@app.command("check")
def check_media(keys: Keys = None, institute: Institute = "", as_json: Json = False) -> None:
    """Say what is wrong with media.

    Each fault has file, line, excerpt and cure. What is looked at: MJML, placeholders and their fallbacks,
    imprint and unsubscribe link, links, file names, size; and that both parts say the same, that nobody of whom
    less is known reads a gap, alt texts, headings, links that say where they lead, contrast in light and dark.
    For all banks, or one. Exits with 1 if there is any fault.

    Example: `reku media check EIGEN_SOMMERFEST --institute 99990001`.
    """
    from reku.catalogue import media
    from reku.channels.email.media.medium_check import medium_faults
    from reku.channels.email.media.preview import known_medium

    for key in keys or ():
        if key not in media():
            known_medium(key)
    chosen = keys or sorted(media())
    with working("Filling each medium for each bank"):
        faults = medium_faults(chosen, [institute] if institute else ())
    if as_json:
        print_json({"media": list(chosen), "faults": [_fields(fault) for fault in faults]})
    else:
        for fault in faults:
            typer.echo(f"{fault}{_shown_line(fault)}")
        if not faults:
            typer.echo(f"all fine: {len(chosen)} {'medium' if len(chosen) == 1 else 'media'}")
    if faults:
        typer.echo(f"{len(faults)} {'faults' if len(faults) > 1 else 'fault'}", err=True)
        raise typer.Exit(FAULT)


@app.command("score")
def score_media(institute: OneInstitute, keys: Keys = None, as_json: Json = False) -> None:
    """Say what spam filters look at in media.

    As far as it can be seen on this machine: length and capitals of the subject, share of text, words for each
    picture, domains of links, unsubscribe header, size: what is not fine, with its cure. Where SpamAssassin is
    installed, its local rules give points as well; nothing is looked up in a network. Exits with 1 if anything is
    not fine.

    Example: `reku media score SCOM_GEBURTSTAG --institute 99990001`.
    """
    from reku.catalogue import institutes, media
    from reku.channels.email.media.compile import compile_medium
    from reku.channels.email.media.preview import known_medium
    from reku.channels.email.media.score import INSTALL, WORST, findings, has_spamassassin, sample_mail, spam_reports

    bank = institutes()[existing(institute)]
    compiled = {key: compile_medium(known_medium(key), bank) for key in keys or sorted(media())}
    with working("Asking SpamAssassin"):
        mails = [sample_mail(medium).data for medium in compiled.values()] if has_spamassassin() else []
        reports = dict(zip(compiled, spam_reports(mails), strict=True)) if mails else {}
    rows, bad = [], 0
    for key, medium in compiled.items():
        found, report = findings(medium), reports.get(key)
        not_fine = [f"{one.what}: {one.value} ({one.limit}). {one.cure}" for one in found if not one.fine]
        if report and report.points >= WORST:
            not_fine.append(f"SpamAssassin: {report.points:g} points (below {WORST:g}) by {', '.join(report.rules)}")
        bad += bool(not_fine)
        row: dict[str, object] = {"medium": key, "points": report.points if report else None}
        if as_json:
            row |= {"rules": report.rules if report else None, "figures": [asdict(one) for one in found]}
        rows.append(row | {"not_fine": not_fine if as_json else " ".join(not_fine)})
    show(rows, as_json=as_json, nothing="There is no medium.")
    if not reports:
        typer.echo(f"Without points of SpamAssassin: {INSTALL}", err=True)
    if bad:
        raise typer.Exit(FAULT)


def _fields(fault: ConfigError) -> dict[str, object]:
    return {"file": str(fault.file), "line": fault.line, "problem": fault.problem, "excerpt": _excerpt(fault)}


def _shown_line(fault: ConfigError) -> str:
    excerpt = _excerpt(fault)
    return f"\n    {fault.line} | {excerpt}\n" if excerpt else ""


def _excerpt(fault: ConfigError) -> str:
    """The line that a fault is on, without its indent and at most as long as a screen is wide."""
    file = Path(fault.file)
    if not fault.line or file.suffix not in (".mjml", ".txt", ".yaml", ".typ") or not file.is_file():
        return ""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    line = lines[fault.line - 1].strip() if fault.line <= len(lines) else ""
    return f"{line[:_AROUND]} …" if len(line) > _AROUND else line
