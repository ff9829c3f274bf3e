"""Names and codes of exchanged files stand in their rooms only: everybody else asks for a role, or for our own word."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from reku.records.contract import load_contracts
from tests.conftest import PROJECT

CONTRACTS = load_contracts(PROJECT / "include" / "contracts")
# a word of all rooms, a field of RFC 3464 too, and German words that pages show
ORDINARY = {"BLZ", "Status", "Datei", "Zeile", "Werbemittel"}
FIELDS = {column.name for contract in CONTRACTS.values() for column in contract.columns} - ORDINARY
CODES = {code for contract in CONTRACTS.values() for column in contract.columns for code in column.stands_for}
ROOMS = (
    "sources",  # they read these files
    "reporting/formats",  # they write them
    "records/reader.py",  # names of the leading record
    "channels/bap",  # it writes the state of the day
    "channels/agree_mailing",  # it writes its jobs
    "channels/letter",  # so do those of letters, and it writes their index
    "channels/emma",  # EMMA's fields have the names of the delivered ones
    "channels/email/media",  # templates name the delivered fields
    "simulator",  # plays the core bank
    "bench",  # so does it
    "catalogue/fields.py",  # codes that a bank's file may rename
)
PACKAGE = PROJECT / "include" / "reku"
OTHERS = [
    path for path in sorted(PACKAGE.rglob("*.py")) if not str(path.relative_to(PACKAGE)).startswith(ROOMS)
]  # the migrations included: a column of ours has a name of ours
_SQL = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH)\b|->>")
_WORD = re.compile(rf"(?<![\w-])({'|'.join(sorted(map(re.escape, FIELDS | CODES), key=len, reverse=True))})(?![\w-])")


def _named(path: Path) -> Iterator[tuple[int, str]]:
    """Where a string is such a name, or is SQL that has one in it; prose may speak of them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value in FIELDS | CODES:
                yield node.lineno, node.value
            elif _SQL.search(node.value):
                yield from ((node.lineno, word) for word in _WORD.findall(node.value))


def test_nobody_else_names_a_field_or_a_code() -> None:
    assert len(OTHERS) > 150
    found = [f"{path.relative_to(PACKAGE)}:{line} {word}" for path in OTHERS for line, word in _named(path)]
    assert found == []


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ('row["EMail"]', "EMail"),
        ('of.fields["Anrede"].astext', "Anrede"),
        ("sa.text(\"SELECT r.fields ->> 'Gueltig_bis' FROM reku.delivery_rows r\")", "Gueltig_bis"),
        ("sa.text(\"UPDATE reku.hits SET kind = 'OEFF'\")", "OEFF"),
        ('kind == "NVER"', "NVER"),
    ],
)
def test_a_name_is_found(tmp_path: Path, code: str, word: str) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text(f'"""Prose may say Anrede, or WITH Anrede."""\nx = {code}\n', encoding="utf-8")
    assert (2, word) in list(_named(bad))
