"""`reku preview` and `reku test-send`: what a mail or a letter will look like, on the screen and in a mailbox."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reku.cli.database import join_if_running
from reku.cli.group import FAULT
from reku.cli.media import Key
from reku.cli.options import OneInstitute, existing
from reku.cli.output import Json, print_json, working
from reku.cli.questions import pair

if TYPE_CHECKING:
    from reku.catalogue.institute import Institute

Person = Annotated[
    str,
    typer.Option(
        "--person",
        metavar="WHO",
        help="For which invented person: everything, nothing, man, woman, neutral, firm, long.",
        show_default="somebody of whom most is known",
    ),
]
Fields = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="A delivered field of that person; may be repeated."),
]


def preview(
    medium: Key,
    institute: OneInstitute,
    person: Person = "",
    fields: Fields = None,
    out: Annotated[
        Path | None, typer.Option("--out", dir_okay=False, help="Write the HTML into this file.", show_default=False)
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            "--page",
            dir_okay=False,
            help="Write a page into this file that shows phone and desktop, light and dark, and the text.",
            show_default=False,
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", dir_okay=False, help="Write a picture of that page, a PNG.", show_default=False),
    ] = None,
    letter: Annotated[
        Path | None,
        typer.Option("--letter", dir_okay=False, help="Write its letter into this file, a PDF.", show_default=False),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show that page, and anew whenever a file is saved, until Ctrl-C.")
    ] = False,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of the page for --watch.", show_default="a free one")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Show a mail, or a letter, as a bank would send it.

    It is filled for a person who exists nowhere. Subject and text go to the screen; with --out the HTML goes into a
    file for the browser, with --page and --picture what it looks like on a phone and at a desk, in light and dark.
    --watch serves that page on this machine, with what `reku media check` says, while somebody writes. Links lead
    straight to their targets and nothing is counted; that for unsubscribing has the address of the running set-up, if
    there is one, else of REKU_TRACKER_URL. With --letter the medium's letter goes into a file as well, as a PDF.

    Example: `reku preview SCOM_GEBURTSTAG --institute 99990001 --set Anlass_Wert=18 --watch`.
    """
    from reku.channels.email.media.overview import overview_page, picture_of
    from reku.channels.email.media.preview import preview_mail

    join_if_running()
    bank = _bank(institute)
    shown = _person(bank, person, fields)
    if watch:
        _watch(medium, institute, shown, port)
        return
    content = preview_mail(medium, bank, shown)
    if letter is not None:
        from reku.channels.letter.preview import preview_letter

        letter.write_bytes(preview_letter(medium, bank, shown))
    if out is not None:
        out.write_text(content.html, encoding="utf-8")
    views = overview_page(medium, content)
    if page is not None:
        page.write_text(views, encoding="utf-8")
    if picture is not None:
        with working("Taking a picture"):
            picture_of(views, picture)
    if as_json:
        print_json({"subject": content.subject, "html": content.html, "text": content.text})
        return
    typer.echo(f"Subject: {content.subject}\n\n{content.text}", nl=False)
    for what, file in (("HTML", out), ("page", page), ("picture", picture), ("letter", letter)):
        if file is not None:
            typer.echo(f"The {what} is in {file}", err=True)


def send_to_colleagues(
    medium: Key,
    institute: OneInstitute,
    to: Annotated[
        list[str],
        typer.Option("--to", metavar="ADDRESS", help="One of the bank's `test_addresses`; may be repeated."),
    ],
    person: Person = "",
    fields: Fields = None,
    as_json: Json = False,
) -> None:
    """Send a medium to colleagues, as a mail marked [Test].

    It goes to addresses that the bank's file lists under `test_addresses` and to nobody else, by the relay of the
    running set-up, if there is one, else that of REKU_SMTP_HOST. It is filled for a person who exists nowhere, is in no
    ledger and counted nowhere: links lead straight to their targets. Exits with 1 if the relay refuses it.

    Example: `reku test-send SCOM_GEBURTSTAG --institute 99990001 --to kontrolle@sparkasse-musterstadt.example`.
    """
    from reku.channels.email.colleagues import send_test_mail

    join_if_running()
    bank = _bank(institute)
    result = send_test_mail(medium, bank, _person(bank, person, fields), to)
    if as_json:
        print_json({"sent": result.taken, "refusals": result.refusals})
    else:
        typer.echo(f"sent: {result.taken}")
        for refusal in result.refusals:
            typer.echo(f"refused: {refusal}", err=True)
    if result.refusals:
        raise typer.Exit(FAULT)


def _bank(blz: str) -> Institute:
    from reku.catalogue import institutes

    return institutes()[existing(blz)]


def _person(bank: Institute, who: str, fields: Sequence[str] | None) -> dict[str, str]:
    """The invented person that is asked for. Wrong usage for one that is not known, and for an unknown field."""
    from reku.channels.email.media.people import FIELDS, PEOPLE, sample_person
    from reku.foundation.errors import suggest

    if who and who not in PEOPLE:
        near = suggest(who, PEOPLE)
        hint = f" Did you mean {near}?" if near else ""
        raise typer.BadParameter(f"{who!r} is none of {', '.join(PEOPLE)}.{hint}", param_hint="'--person'")
    return sample_person(bank, kind=who) | dict(pair(one, FIELDS) for one in fields or ())


def _watch(medium: str, institute: str, person: dict[str, str], port: int) -> None:
    from reku.channels.email.media.live_preview import LivePreview
    from reku.channels.email.media.preview import known_medium

    known_medium(medium)
    with LivePreview(medium, institute, person, port) as server:
        typer.echo(f"{medium} is shown at {server.url}; Ctrl-C ends it.", err=True)
        server.serve_forever()
