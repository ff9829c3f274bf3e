"""`docs/file-contracts.md`, made from the contracts: `python -m reku.records.handbook docs/file-contracts.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from reku.records.contract import Column, Conditions, Contract, contracts
from reku.records.faults import FaultCode
from reku.records.reader import HEAD

_FRAMES = {
    "vkdn": "V, K, D and N records",
    "plain": "a header line only",
    "either": "V, K, D and N records, or a header line only",
    "bare": "none, and no header line: the columns in this order",
}
_INTRODUCTION = f"""\
# File contracts

Made from `include/contracts/*.yaml` and the fault codes by `python -m reku.records.handbook docs/file-contracts.md`;
a test fails when this page and they differ. The real layouts of the partners are not public: change the contract
file, not the code, when yours are others.

## What all files share

CSV in records: `V` leading record, `K` column names, `D` data, `N` closing record.

| record | cells |
| --- | --- |
| `V` | `V;{";".join(HEAD)}`; first line, once. `Umgebung` is P (production) or T (test) |
| `K` | `K;name1;name2;…`; order free, unknown names warn, missing mandatory names refuse the file |
| `D` | `D;value1;…`; exactly as many values as `K` has names |
| `N` | `N;Anzahl_D;Pruefsumme`; last line, nothing follows |

`Pruefsumme` is the SHA-256 (hex, lower case) over the exact bytes from the `V` up to and including the line end
before the `N`. Lines end in CRLF, LF is read as well. A value is quoted with `"` only when needed, quotes in it are
doubled, line breaks and control characters are not allowed. Every value is text: leading zeros stay. Dates are
`TT.MM.JJJJ`, moments `TT.MM.JJJJ HH:MM:SS` in Berlin time. A file is read in exactly the agreed encoding, nothing is
guessed; a byte order mark before `V` is passed over. A contract with `frame: plain` stands for files with a header
line only: they are read, but count and check sum cannot be checked. With `frame: either` both may come: a file
that begins with `V` has all four records.

An outgoing value that the target encoding lacks takes the closest letters in names (`ł` becomes `l`) and refuses the
file in keys and addresses. File names have letters, digits and `_ . -` only, the bank and a time stamp inside. What
we write is written under a draft's name (`….tmp`) and renamed when it is whole; an empty `<name>.ok` beside an
incoming file says that it is.

Types: `AN(n)` text up to n characters, `N(n)` exactly n digits, `Z` whole number, `D` date, `DT` moment, `J/N` flag,
`ENUM` one of the listed values. Column m: M mandatory, O optional, C conditional.

A *role* says what a column is to us, whatever a file calls it: what a delivery's row has there stands in the column of
that name of `delivery_rows`, with a type of its own. Everything behind intake and gate asks for roles alone; all
delivered fields are kept beside, by their names, and are what templates may name.

## How a file is checked

| level | what | what follows |
| --- | --- | --- |
| file | name, encoding, frame, count, check sum, columns, bank, environment, order and its control \
file, number | the whole file is refused or parked; nothing of it is written |
| row | mandatory values, types, lengths, allowed values, addresses, rules of the gate \
(`include/expectations`) | the row goes back by receipt, the others go on; above the order's limit of rejected rows \
(5 % unless the bank says otherwise) the whole file is refused |
| warning | unknown column, gap in the numbers, an unsuitable medium, an advisor's bad address | everything goes on |

A control file has no bad rows: with any fault nothing of it is carried out. The bank of a file is told by its
folder; file name and `V` must name the same one.

## Numbers of deliveries

They rise within an order.

| number | becomes |
| --- | --- |
| the next one | taken |
| a gap before it | taken, with a warning |
| below the highest, and never seen | taken as late |
| seen, with the same content | a duplicate; packed anew it is the same content |
| seen, with another content | refused (NUMMER_VERGEBEN), unless all earlier files of that number were \
refused as a whole: then it takes their place |

## Receipts

`quittung_<name of the file>` answers each control file, and each delivery that was refused, parked or a duplicate or
has rejected rows; a warning alone is logged, not answered. Its first line is about the file (`Ebene` DATEI), `SATZ`
lines are about rows. The advice is German, for the sender, at most 200 characters, and names nobody: the sender's
own `Referenz` is all that tells a row. A receipt can be written again, byte for byte. A file that no contract knows
is answered only where its name shows which one was meant.

## Response files

What OSPlus learns of its people; [responses](responses.md#response-files) tells who writes when. `Ereignis_ID` is
made of what happened: 32 hex digits of SHA-256 over Dateiart, BLZ, order, delivery number, Referenz, kind, UTC time
and link number. What a message has only once (all kinds but ZUGE, OEFF, KLIC) leaves the time out, so the same
report read twice is one event. Rows stand in the order of UTC time, then of `Ereignis_ID`. Each event is in one file
only. A file's number, time stamp and rows are fixed before it is written, so it comes out the same whenever it is
written again. It names no address, and its links have no query. OEFF and KLIC are only of people with consent to
tracking.
"""


def document() -> str:
    """The whole page. Raises ConfigError for a broken contract."""
    return "\n".join([_INTRODUCTION, *(part for each in contracts().values() for part in _contract(each)), *_codes()])


def _contract(contract: Contract) -> Iterator[str]:
    yield f"## {contract.kind}: {contract.title.partition(': ')[2] or contract.title}\n"
    yield f"- **direction:** {'to us' if contract.direction == 'in' else 'from us'}, version {contract.version}"
    if contract.file_name is None:
        yield "- **file name:** none: we select the rows ourselves, and they are in no file"
    else:
        yield f"- **file name:** `{contract.file_name}`, e.g. `{contract.file_name_example}`"
    yield f"- **encoding:** {' or '.join(contract.encodings)}; delimiter `{contract.delimiter}`"
    yield f"- **frame:** {_FRAMES[contract.frame]}"
    yield f"- **largest file:** {contract.max_bytes // 1_000_000} MB{' unpacked' if contract.gzip else ''}"
    if contract.unique:
        yield f"- **once per file:** {', '.join(f'`{name}`' for name in contract.unique)}"
    yield "\n| # | column | type | m | meaning and rule | example |\n| --- | --- | --- | --- | --- | --- |"
    for number, column in enumerate(contract.columns, 1):
        cells = (str(number), f"`{column.name}`", column.type, column.obligation, _rules(column), _code(column.example))
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""


def _rules(column: Column) -> str:
    """What the contract says about the values, in words."""
    rules = [column.meaning]
    if column.role:
        rules.append(f"role `{column.role}`")
    if column.values:
        rules.append(", ".join(f"`{value}` {meaning}" for value, meaning in column.values.items()))
    if column.pattern:
        rules.append(f"must match `{column.pattern}`")
    if column.characters:
        rules.append(f"only the characters `[{column.characters}]`, else {column.fault}")
    if column.minimum is not None:
        rules.append(f"at least {column.minimum}")
    if column.maximum is not None:
        rules.append(f"at most {column.maximum}")
    if column.address:
        rules.append("a valid mail address")
    if column.equals_head:
        rules.append("as in the `V` record")
    if column.not_before:
        rules.append(f"not before `{column.not_before}`")
    if column.mandatory_when:
        rules.append(f"mandatory when {_words(column.mandatory_when)}")
    if column.allowed_when:
        rules.append(f"only when {_words(column.allowed_when)}")
    if column.codes:
        rules.append("in the file " + ", ".join(f"`{code}` for {value}" for value, code in column.codes.items()))
    if column.default:
        rules.append(f"default {_code(column.default)}")
    return "; ".join(rule for rule in rules if rule)


def _words(conditions: Conditions) -> str:
    return " and ".join(f"`{name}` is {' or '.join(values)}" for name, values in conditions.items())


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _codes() -> Iterator[str]:
    yield "## Fault codes\n"
    yield "What stands as `Fehler_Code` in a receipt.\n"
    yield "| code | meaning |\n| --- | --- |"
    for code in FaultCode:
        yield f"| `{code}` | {code.meaning} |"
    yield ""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document(), encoding="utf-8")
