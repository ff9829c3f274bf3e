"""`reku institutes`: setting up a bank (docs/onboarding.md)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from reku.cli.group import FAULT
from reku.cli.options import Blz, ExistingBlz
from reku.cli.output import Json, print_json, show
from reku.cli.questions import Given, answers_to

app = typer.Typer(no_args_is_help=True, help="Setting up a bank.", rich_markup_mode=None)


@app.command("new")
def new_institute(
    institute: Blz,
    given: Given = None,
    as_json: Json = False,
) -> None:
    """Ask what is needed of a new bank and write its file.

    Name, core system, sender, colour and imprint; each answer is checked as it is given, and the whole file before it
    is written. It sends nothing yet: its interface is not switched on and it has no campaign; both stand in it as
    comments. With --json nothing is asked, and what --set does not answer is a fault.

    Example: `reku institutes new 99990004 --set core_system=osplus`.
    """
    from reku.catalogue.new_bank import QUESTIONS, write_bank_file
    from reku.foundation.settings import settings

    answers = answers_to(QUESTIONS, given, ask=not as_json)
    file = write_bank_file(settings().config_dir, institute, answers)
    if as_json:
        print_json({"institute": institute, "file": str(file)})
    else:
        typer.echo(f"{file} is written and complete. Next: `reku check`; docs/onboarding.md says what follows.")


@app.command("dns")
def check_dns(
    institute: ExistingBlz,
    selector: Annotated[
        list[str] | None,
        typer.Option("--selector", metavar="NAME", help="Selector the mail server signs with; may be repeated."),
    ] = None,
    nameserver: Annotated[
        str, typer.Option("--nameserver", metavar="HOST[:PORT]", help="Ask this one.", show_default="the machine's")
    ] = "",
    as_json: Json = False,
) -> None:
    """Check SPF, DKIM and DMARC of a bank's sender domains.

    As far as they can be seen from outside. Mails from domains without them are refused by large providers, or put
    aside. Exits with 1 if anything is at fault.

    Example: `reku institutes dns 99990001 --selector reku2026`.
    """
    from reku.catalogue import institutes
    from reku.channels.email.sender_dns import DnsState, check_sender_domains, resolver_at

    found = check_sender_domains(institutes()[institute].sender.domains, selector or (), resolver_at(nameserver))
    show(map(asdict, found), as_json=as_json, nothing="The bank has no sender domain.")
    if any(finding.state is DnsState.FAULT for finding in found):
        raise typer.Exit(FAULT)
