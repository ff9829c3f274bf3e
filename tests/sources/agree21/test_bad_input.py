"""Bad files of a cooperative bank's data, one a line: what is said, and that nothing of them is kept or changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet

from reku.catalogue import occasions
from reku.catalogue.selection import Selection
from reku.foundation.settings import settings
from reku.sources.agree21.freshness import fresh_data
from reku.store import tables
from reku_testing.clear_numbers import clear_numbers
from reku_testing.world import BLZ
from tests.conftest import VAULT_KEY
from tests.sources.agree21.conftest import NOW, CoopBank, appointment, holding, impulse, person

DAY = timedelta(days=1)
NAME = f"ida_kunden_{BLZ}_20261122043000.csv"


def framed(bank: CoopBank, people: Sequence[dict[str, str]]) -> bytes:
    """A good file, taken out of the inbox again."""
    file = bank.files / BLZ / "eingang" / bank.put("IDA_KUNDEN", people)
    data = file.read_bytes()
    file.unlink()
    return data


def resealed(text: str, encoding: str) -> bytes:
    """The file in another encoding, with count and check sum that fit its bytes."""
    body = text[: text.rindex("N;")].encode(encoding)
    return body + f"N;1;{hashlib.sha256(body).hexdigest()}\r\n".encode(encoding)


def _count(data: bytes) -> bytes:
    return data.replace(b"\nN;1;", b"\nN;2;")


def _after_the_end(data: bytes) -> bytes:
    return data + b"D;x\r\n"


def _lone_return(data: bytes) -> bytes:
    return data.replace(b"Musterstadt", b"Muster\rstadt")


def _in(encoding: str) -> Callable[[bytes], bytes]:
    return lambda data: resealed(data.decode("cp1252"), encoding)


def _header_only_in(encoding: str) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        lines = data.decode("cp1252").split("\r\n")[1:-2]
        return "".join(f"{line[2:]}\r\n" for line in lines).encode(encoding)

    return change


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (_count, "ANZAHL", ""),
        (_after_the_end, "NACH_SCHLUSSSATZ", ""),
        (_lone_return, "ZEILENENDE", ""),
        (_in("utf-8"), "ZEICHENSATZ", "in utf-8 geschrieben, Umlaute würden zerstört. Bitte in cp1252 liefern."),
        (_in("utf-8-sig"), "ZEICHENSATZ", "Bitte in cp1252 liefern"),
        (_in("cp850"), "ZEICHENSATZ", "ist kein cp1252"),
        (_header_only_in("utf-8"), "ZEICHENSATZ", "in utf-8 geschrieben"),
        (_header_only_in("utf-8-sig"), "ZEICHENSATZ", "BOM"),
        (_header_only_in("utf-16"), "ZEICHENSATZ", "in utf-16 geschrieben (Unicode-Text). Bitte in cp1252 liefern."),
    ],
    ids=[
        "wrong count",
        "bytes after N",
        "lone CR",
        "UTF-8",
        "UTF-8 with a mark",
        "DOS code page",
        "by hand, UTF-8",
        "by hand, UTF-8 with a mark",
        "by hand, UTF-16",
    ],
)
def test_a_file_that_is_refused_as_a_whole(
    bank: CoopBank, change: Callable[[bytes], bytes], code: str, says: str
) -> None:
    good = framed(bank, [person(1)])
    bank.put_bytes(NAME, change(good))
    assert bank.verdicts() == [f"REFUSED {code}"]
    assert says in bank.receipt(NAME)
    assert "Müßig" not in bank.receipt(NAME)
    assert bank.count(tables.persons) == bank.count(tables.imports) == 0
    bank.put_bytes(NAME, good)
    assert bank.verdicts() == ["PROCESSED"], "mended, it is taken in under the same name"


EXCEL: dict[str, Sequence[tuple[str, str, str]]] = {
    "IDA_BESTAND": [
        ("Vertragsnummer", "7,1E+09", "Excel hat die Nummer gerundet"),
        ("Personennummer", "1", "führende Nullen fehlen"),
        ("Eroeffnung", "12/1/2023", "von Excel umgestellt"),
        ("Faelligkeit", "01.12.26", "von Excel umgestellt"),
    ],
    "GDIX_TERMINE": [
        ("Personennummer", "1E+09", "Excel hat die Nummer gerundet"),
        ("Termin_Beginn", "2026-11-26 10:00", "von Excel umgestellt"),
        ("Geaendert_am", "46347", "von Excel umgestellt"),
    ],
    "IMPULSE": [
        ("Personennummer", "1", "führende Nullen fehlen"),
        ("Erzeugt_am", "21.11.26 18:00", "von Excel umgestellt"),
        ("Gueltig_bis", "5.12.2026", "von Excel umgestellt"),
    ],
}


def test_what_excel_does_is_said_in_words_in_every_file(bank: CoopBank) -> None:
    """One damaged row of each kind in a hundred; the others are taken in."""
    bank.put("IDA_KUNDEN", [person(1)])
    assert bank.verdicts() == ["PROCESSED"]
    makes: dict[str, Callable[..., dict[str, str]]] = {
        "IDA_BESTAND": lambda n, **changes: holding(n, 1, **changes),
        "GDIX_TERMINE": lambda n, **changes: appointment(f"T-{n}", 1, **changes),
        "IMPULSE": lambda n, **changes: impulse(f"IMP-{n}", 1, **changes),
    }
    for kind, cases in EXCEL.items():
        damaged = [makes[kind](n, **{field: value}) for n, (field, value, _) in enumerate(cases)]
        name = bank.put(kind, damaged + [makes[kind](n) for n in range(100, 200)])
        assert bank.verdicts() == ["PROCESSED"]
        assert bank.newest()["rejected"] == len(cases)
        told = [line for line in bank.receipt(name).splitlines() if ";SATZ;" in line and "Excel" in line]
        assert [says in line for line, (_, _, says) in zip(told, cases, strict=True)] == [True] * len(cases), (
            kind,
            told,
        )


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("IDA_KUNDEN", "Personennummer"),
        ("IDA_KUNDEN", "Haushalt_ID"),
        ("IDA_BESTAND", "Personennummer"),
        ("IDA_BESTAND", "Vertragsnummer"),
    ],
)
def test_a_clear_number_where_pseudonyms_were_promised_is_not_kept_wherever_it_stands(
    bank: CoopBank, kind: str, column: str
) -> None:
    bank.configure(pseudonyms="bank")
    own = {"Personennummer": "p1.9f2c4e7ab01d55c3", "Haushalt_ID": "h1.77aa01", "Vertragsnummer": "v1.0c19e2"}
    people = person(1, Personennummer=own["Personennummer"], Haushalt_ID=own["Haushalt_ID"])
    held = holding(1, 1, Personennummer=own["Personennummer"], Vertragsnummer=own["Vertragsnummer"])
    bank.put("IDA_KUNDEN", [people], NOW - timedelta(minutes=1))
    assert bank.verdicts() == ["PROCESSED"]
    bad = (people if kind == "IDA_KUNDEN" else held) | {column: "0004711123"}
    name = bank.put(kind, [bad])
    assert [one for one in bank.verdicts() if "REFUSED" in one] == ["REFUSED KLARNUMMER"]
    assert bank.lying() == []
    told = bank.receipt(name) + "".join(repr(bank.rows(table)) for table in tables.metadata.sorted_tables)
    assert "4711123" not in told


def test_what_is_older_or_refused_or_the_same_makes_nothing_fresh(
    bank: CoopBank, clock_at: Callable[..., None]
) -> None:
    rule = next(one.selection for one in occasions().values() if isinstance(one.selection, Selection))

    def is_fresh() -> bool:
        with bank.engine.connect() as connection:
            return "IDA_KUNDEN" not in fresh_data(connection, bank.institute, rule).missing

    everybody = [person(n) for n in range(1, 11)]
    bank.put("IDA_KUNDEN", everybody)
    assert (bank.verdicts(), is_fresh()) == (["PROCESSED"], True)
    clock_at(NOW + DAY + timedelta(hours=3))
    for people, at, verdict in (
        (everybody, NOW, "DUPLICATE DUBLETTE"),
        ([*everybody, person(11)], NOW - DAY, "DUPLICATE VERALTET"),
        (everybody[:5], NOW + DAY, "REFUSED SCHRUMPFUNG"),
    ):
        bank.put("IDA_KUNDEN", people, at)
        assert (bank.verdicts(), is_fresh()) == ([verdict], False)
    bank.put("IDA_KUNDEN", everybody, NOW + DAY + timedelta(minutes=1))
    assert (bank.verdicts(), is_fresh()) == (["PROCESSED"], True)


def test_contact_persons_that_are_unclear_are_told_and_the_lowest_number_counts_each_day(
    bank: CoopBank, clock_at: Callable[..., None]
) -> None:
    contacts = {1: "N", 2: "N", 3: "J", 4: "J", 5: "N", 6: "J"}
    people = [person(n, Haushalt_ID=f"{(n - 1) // 2:010d}", Ansprechperson=contacts[n]) for n in contacts]
    seen = set()
    for day, order in enumerate((people, people[::-1])):
        clock_at(NOW + day * DAY)
        name = bank.put("IDA_KUNDEN", order, NOW + day * DAY)
        assert bank.verdicts() == ["PROCESSED"]
        assert "2 Haushalte ohne eindeutige Ansprechperson" in bank.receipt(name)
        with bank.engine.connect() as connection:
            first = [row["person_number"] for row in bank.rows(tables.persons) if row["household_rank"] == 1]
            seen.add(tuple(sorted(clear_numbers(connection, BLZ, first).values())))
    assert seen == {("0000000001", "0000000003", "0000000006")}


@pytest.mark.parametrize(
    ("keys", "pseudonym_keys", "says"),
    [
        ("", None, "REKU_VAULT_KEYS is not set"),
        (Fernet.generate_key().decode(), None, "put that key back before the newest"),
        (None, "", "REKU_PSEUDONYM_KEYS is not set"),
        (None, "another key of pseudonyms that is long enough", "REKU_PSEUDONYM_KEYS has at place 1 not the key"),
    ],
    ids=["vault key lost", "another", "pseudonym key lost", "another one"],
)
def test_with_a_wrong_key_nothing_is_written_or_garbled_and_one_sentence_says_it(
    bank: CoopBank, monkeypatch: pytest.MonkeyPatch, keys: str | None, pseudonym_keys: str | None, says: str
) -> None:
    bank.put("IDA_KUNDEN", [person(1)])
    bank.verdicts()
    before = {table.name: bank.rows(table) for table in tables.metadata.sorted_tables if table.name != "file_tries"}
    bank.put("IDA_KUNDEN", [person(1), person(2)], NOW + timedelta(minutes=1))
    with monkeypatch.context() as patch:
        for variable, value in (("REKU_VAULT_KEYS", keys), ("REKU_PSEUDONYM_KEYS", pseudonym_keys)):
            if value is not None:
                patch.setenv(variable, value)
        settings.cache_clear()
        (told,) = bank.take_in().failures
    settings.cache_clear()
    assert says in told
    after = {name: bank.rows(tables.metadata.tables[f"reku.{name}"]) for name in before}
    assert after == before
    assert bank.verdicts() == ["PROCESSED"]


def test_a_half_rotated_vault_key_opens_everything(bank: CoopBank, monkeypatch: pytest.MonkeyPatch) -> None:
    bank.put("IDA_KUNDEN", [person(1)])
    bank.verdicts()
    monkeypatch.setenv("REKU_VAULT_KEYS", f"{VAULT_KEY},{Fernet.generate_key().decode()}")
    settings.cache_clear()
    bank.put("IDA_KUNDEN", [person(1, Nachname="Neu"), person(2)], NOW + DAY)  # a day whose key the new one wraps
    assert bank.verdicts() == ["PROCESSED"]
    assert len({row["wrapped_by"] for row in bank.rows(tables.data_keys) if row["wrapped"]}) in (1, 2)
    assert bank.newest()["added"] == 1
