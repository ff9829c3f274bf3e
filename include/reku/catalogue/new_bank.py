"""The file of a bank that is to be set up: made from what a person is asked, and read once before it is kept."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from reku.catalogue.institute import Colours, CoreSystem, Institute, Sender
from reku.catalogue.questions import Question, problem_of
from reku.foundation import yaml_source
from reku.foundation.errors import ConfigError

_SUPERVISION = (
    "Zuständige Aufsichtsbehörde: Bundesanstalt für Finanzdienstleistungsaufsicht, Bonn und Frankfurt am Main"
)
_CAMPAIGNS = {
    CoreSystem.OSPLUS: """\
# One campaign for each order that shall send; the order's control file comes from OSPlus.
# campaigns:
#   - order: R0000101
#     name: Runde Geburtstage
#     active: false
#     blocks:
#       - {block: start, list: R0000101}
#       - {block: wait, until: 09:00}
#       - {block: send, media: [SCOM_GEBURTSTAG]}
""",
    CoreSystem.AGREE21: """\
# Which fields of the bank's data mean what (docs/contact.md, docs/agree21.md).
# contact:
#   household: Haushalt_ID
#   contact_person: Ansprechperson
#   refusal: {Werbesperre_KZ: [W]}
#   estate: {Nachlass_KZ: [J]}

# One campaign for each order; it announces its order itself.
# campaigns:
#   - order: K2026-001
#     name: Hohe Geburtstage
#     active: false
#     announces: {occasion: MCAG001, rhythm: TAEGLICH, valid_from: 2026-01-01, placeholder: ANLASSVORLAGE}
#     blocks:
#       - {block: start, list: K2026-001}
#       - {block: wait, until: 09:10}
#       - {block: send, media: [SCOM_GEBURTSTAG]}
""",
}


QUESTIONS = (
    Question("name", "Name der Bank", Institute, "name", "Sparkasse Musterstadt"),
    Question("core_system", "Kernbanksystem: osplus oder agree21", Institute, "core_system", "osplus"),
    Question("state", "Bundesland, für Feiertage", Institute, "state", "NW"),
    Question("address", "Absenderadresse", Sender, "address", "service@sparkasse-musterstadt.example"),
    Question("reply_to", "Adresse für Antworten", Sender, "reply_to", "kontakt@sparkasse-musterstadt.example", True),
    Question("control_address", "Kontrolladresse", Institute, "control_address", "", True),
    Question("primary", "Hausfarbe", Colours, "primary", "#CC0000"),
    Question("legal_name", "Impressum: Firma mit Rechtsform", example="Sparkasse Musterstadt, Anstalt des ö. R."),
    Question("street", "Impressum: Straße, PLZ und Ort", example="Marktplatz 1, 99999 Musterstadt"),
    Question("telephone", "Impressum: Telefon", example="+49 99 0000-0"),
    Question("website", "Impressum: Internet", example="https://www.sparkasse-musterstadt.example"),
    Question("board", "Impressum: Vorstand", example="Jördis Muster-Müßig (Vorsitzende), Bernd Testmann"),
    Question("register", "Impressum: Registergericht und Nummer", example="Amtsgericht Musterstadt, HRA 0001"),
    Question("vat", "Impressum: Umsatzsteuer-Identifikationsnummer", example="DE999999991"),
)
"""In the order in which they are asked."""


def bank_file(blz: str, answers: Mapping[str, str]) -> str:
    """The whole file as YAML, from an answer to each question that is not optional; nothing of it sends yet."""
    told = {question.key: answers.get(question.key, "").strip() for question in QUESTIONS}
    sender = {"name": told["name"], "address": told["address"], "domains": [told["address"].rpartition("@")[2].lower()]}
    if told["reply_to"]:
        sender["reply_to"] = told["reply_to"]
    parts = [
        _yaml({"blz": blz, "name": told["name"], "core_system": told["core_system"], "state": told["state"].upper()}),
        "# Set the day on which the bank's interface was switched on; files made before it are refused.\n"
        "# interface_active_from: 2026-01-01\n",
        _yaml({"sender": sender}),
        _yaml({"control_address": told["control_address"]}) if told["control_address"] else "",
        "# The first delivery of each order waits for a person.\n" + _yaml({"approve_first": True}),
        _yaml({"colours": {"primary": told["primary"]}}),
        f"imprint: |\n{_indented(_imprint(blz, told))}\n",
        _CAMPAIGNS[CoreSystem(told["core_system"])],
    ]
    return "\n".join(filter(None, parts))


def write_bank_file(config_dir: Path, blz: str, answers: Mapping[str, str]) -> Path:
    """Write the file of a bank and return where it is.

    Raises ConfigError if there is one already, and for an answer that makes no valid file; nothing is written then.
    """
    file = config_dir / "institutes" / f"{blz}.yaml"
    if file.exists():
        raise ConfigError(f"There is a file of the institute {blz} already; edit that one.", file=file)
    for question in QUESTIONS:
        if problem := problem_of(question, answers.get(question.key, "").strip()):
            raise ConfigError(f"{question.key}: {problem}", file=file)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / file.name
        draft.write_text(bank_file(blz, answers), encoding="utf-8")
        yaml_source.load(draft, Institute)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(draft.read_text(encoding="utf-8"))
    return file


def _yaml(values: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(values), allow_unicode=True, sort_keys=False, width=110)


def _imprint(blz: str, told: Mapping[str, str]) -> str:
    return "\n".join(
        [
            *(told["legal_name"], told["street"], f"Telefon: {told['telephone']}"),
            f"E-Mail: {told['reply_to'] or told['address']}",
            *(f"Internet: {told['website']}", "", f"Vorstand: {told['board']}", f"Registergericht: {told['register']}"),
            f"Umsatzsteuer-Identifikationsnummer: {told['vat']}",
            *(f"Bankleitzahl: {blz}", "", _SUPERVISION),
        ]
    )


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())
