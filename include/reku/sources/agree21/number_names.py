"""Numbers of people, contracts and households as our tables name them: pseudonyms, unless agreed otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import sqlalchemy as sa

from reku.catalogue.import_rules import ImportRules, Pseudonyms
from reku.catalogue.institute import Institute
from reku.records import RecordFile
from reku.records.columns import Columns
from reku.sources.agree21.excel import rounded_number_advice
from reku.vault.pseudonyms import NumberKind, is_pseudonym, pseudonymiser

Names = Callable[[NumberKind, str], str]
"""Number as delivered → as it stands in the tables."""

NUMBER_COLUMNS: Mapping[str, NumberKind] = {
    "Personennummer": NumberKind.PERSON,
    "Haushalt_ID": NumberKind.HOUSEHOLD,
    "Vertragsnummer": NumberKind.CONTRACT,
}


def names_for(connection: sa.Connection, bank: Institute) -> Names:
    """How the bank's numbers become names. Raises SetupError if the key of pseudonyms is missing or another one."""
    if bank.imports.pseudonyms != Pseudonyms.ON_ENTRY:
        return lambda _kind, number: number
    return pseudonymiser(connection, bank.blz)


def has_clear_number(rules: ImportRules, file: RecordFile) -> bool:
    """Whether a file has clear numbers though its bank has agreed to deliver pseudonyms."""
    return rules.pseudonyms == Pseudonyms.BANK and any(
        value.strip().isdecimal() for column in NUMBER_COLUMNS for value in column_of(file, column)
    )


def number_check(rules: ImportRules, column: str) -> Callable[[str], object]:
    """What says of a number in a column whether it is written as agreed."""
    kind = NUMBER_COLUMNS[column]
    if rules.pseudonyms == Pseudonyms.BANK:
        return partial(is_pseudonym, kind)
    if kind == NumberKind.PERSON:
        return re.compile(rf"[0-9]{{{rules.person_number_digits}}}", re.ASCII).fullmatch
    return lambda value: value.isdecimal() or not rounded_number_advice(value)


def number_advice(rules: ImportRules, column: str) -> str:
    """What the sender is told about a number that is not (German)."""
    kind = NUMBER_COLUMNS[column]
    if rules.pseudonyms == Pseudonyms.BANK:
        return f"{column}: ein Pseudonym wie {kind}1.9f2c4e7ab01d55c3 angeben"
    if kind == NumberKind.PERSON:
        return f"{column}: genau {rules.person_number_digits} Ziffern angeben, mit führenden Nullen"
    return f"{column}: Nummer wie vergeben angeben"


def column_of(file: RecordFile, name: str) -> Sequence[str]:
    """A column's values; none if the file lacks it."""
    if name not in file.columns:
        return []
    at = file.columns.index(name)
    return file.rows.texts(at) if isinstance(file.rows, Columns) else [row[at] for row in file.rows]
