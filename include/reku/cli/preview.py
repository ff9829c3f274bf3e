"""`reku preview`: what a mail or a letter will look like."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reku.cli.database import join_if_running
from reku.cli.options import OneInstitute
from reku.cli.output import Json, print_json


def preview(
    medium: Annotated[str, typer.Argument(metavar="MEDIUM", help="Key of the medium, such as SCOM_GEBURTSTAG.")],
    institute: OneInstitute,
    out: Annotated[
        Path | None, typer.Option("--out", dir_okay=False, help="Write the HTML into this file.", show_default=False)
    ] = None,
    letter: Annotated[
        Path | None,
        typer.Option("--letter", dir_okay=False, help="Write its letter into this file, a PDF.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a mail, or a letter, as a bank would send it.

    It is filled for a person who exists nowhere. Subject and text go to the screen; with --out the HTML goes into a
    file for the browser. Links lead straight to their targets and nothing is counted; that for unsubscribing has the
    address of the running set-up, if there is one, else of REKU_TRACKER_URL. With --letter the medium's letter goes
    into a file as well, as a PDF.

    Example: `reku preview SCOM_GEBURTSTAG --institute 99990001 --out mail.html`.
    """
    from reku.catalogue import institutes
    from reku.channels.email.media.preview import preview_mail
    from reku.foundation.errors import ConfigError
    from reku.foundation.settings import settings

    join_if_running()
    banks = institutes()
    if institute not in banks:
        folder = settings().config_dir / "institutes"
        raise ConfigError(f"There is no institute {institute!r}.", file=folder, value=institute, valid=tuple(banks))
    content = preview_mail(medium, banks[institute])
    if letter is not None:
        from reku.channels.letter.preview import preview_letter

        letter.write_bytes(preview_letter(medium, banks[institute]))
    if out is not None:
        out.write_text(content.html, encoding="utf-8")
    if as_json:
        print_json({"subject": content.subject, "html": content.html, "text": content.text})
        return
    typer.echo(f"Subject: {content.subject}\n\n{content.text}", nl=False)
    if out is not None:
        typer.echo(f"The HTML is in {out}", err=True)
    if letter is not None:
        typer.echo(f"The letter is in {letter}", err=True)
