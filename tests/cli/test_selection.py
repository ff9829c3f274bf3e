"""`reku selection`: a rule in words, and whom it would select, in numbers that add up."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from reku.catalogue import institutes, occasions
from reku.catalogue.occasion import Window
from reku.catalogue.selection import Selection
from reku.contact.reasons import Reason
from reku.foundation import clock
from reku.process.systems import system_of
from reku.sources.agree21 import announcing
from reku.sources.agree21.rule_text import sentence
from reku.sources.agree21.selecting import candidates
from reku.sources.agree21.why import why
from reku.sources.agree21.why_order import AGAINST
from reku.store import tables
from reku.vault.pseudonyms import NumberKind, pseudonymiser
from reku_testing import banks
from reku_testing.world import BLZ
from tests.cli.conftest import Reku
from tests.sources.agree21.imported import add_person, end, note_import, recipient_key


@pytest.fixture
def coop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bank whose data we select from, with a campaign for round birthdays and one for moves."""
    campaigns = [
        {
            "order": order,
            "name": occasion,
            "active": True,
            "announces": {
                "occasion": occasion,
                "rhythm": "TAEGLICH",
                "valid_from": "2026-11-01",
                "placeholder": "MF_1",
            },
            "impulses": codes,
            "blocks": [
                {"block": "start", "list": order},
                {"block": "wait", "until": "09:00"},
                {"block": "send", "media": ["SCOM_GEBURTSTAG"]},
            ],
        }
        for order, occasion, codes in (("K2026-014", "MCAG002", []), ("K2026-015", "MCAU030", ["UMZUG"]))
    ]
    contact = {"blocking_days": {"SCOM_GEBURTSTAG": 14}}
    banks.configure(monkeypatch, tmp_path / "config", core_system="agree21", campaigns=campaigns, contact=contact)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (
            "MCAG002",
            "Personen, deren Jahrestag (Geburtsdatum) frühestens vor 3 Tagen und spätestens heute liegt, wenn (Anrede "
            "bekannt und nicht 4 und Geburtsdatum 10 bis 120 Jahre her, in Schritten von 10).",
        ),
        (
            "MCAF702",
            "Personen mit einem Vertrag, dessen Fälligkeit frühestens heute und spätestens in 60 Tagen liegt, wenn "
            "Produktart = FESTGELD.",
        ),
    ],
)
def test_a_rule_in_a_sentence(reku: Reku, code: str, says: str) -> None:
    told = reku("selection", "explain", code.lower())
    assert told.exit_code == 0, told.stderr
    assert says in told.stdout
    assert "FROM reku.persons" in told.stdout


@pytest.mark.usefixtures("coop", "database")
def test_the_plan_of_a_rule(reku: Reku) -> None:
    told = reku("selection", "explain", "MCAG002", "--plan", BLZ)
    assert told.exit_code == 0, told.stderr
    assert "(cost=" in told.stdout.partition("FROM reku.persons")[2]
    assert "plan" in json.loads(reku("selection", "explain", "MCAG002", "--plan", BLZ, "--json").stdout)


def test_every_shipped_rule_can_be_told() -> None:
    for occasion in occasions().values():
        if isinstance(occasion.selection, Selection):
            assert sentence(occasion.selection, occasion.window).endswith("."), occasion.code


@pytest.mark.parametrize(
    ("code", "says"),
    [("MCAG004", "selects nobody: which birthdays"), ("MCAG02", "Did you mean MCAG002?")],
)
def test_an_occasion_without_a_rule_says_why(reku: Reku, code: str, says: str) -> None:
    refused = reku("selection", "explain", code)
    assert (refused.exit_code, says in refused.stderr) == (1, True)


@pytest.mark.usefixtures("coop")
def test_a_trial_is_what_a_run_then_selects_and_has_no_effect(
    database: sa.Engine, reku: Reku, clock_at: Callable[[datetime], None]
) -> None:
    day = date(2026, 11, 22)
    clock_at(clock.at(day, 6))
    with database.begin() as connection:
        for name, changes in (
            ("wanted", {}),
            ("nowhere", {}),
            ("shares", {"household": "wanted", "household_rank": 2}),
            ("younger", {"born": date(1977, 11, 22)}),
        ):
            add_person(connection, name, **{"born": date(1976, 11, 22)} | changes)
        of = tables.person_addresses
        connection.execute(sa.delete(of).where(of.c.person_number == "nowhere"))
        connection.execute(
            sa.update(of).where(of.c.person_number == "shares").values(recipient_key=recipient_key("wanted"))
        )
    note_import(database)
    (tried,) = json.loads(reku("selection", "try", "MCAG002", BLZ, "--json").stdout)
    expected = {"matched": 3, "selected": 1, "household": 1, "without_address": 1}
    assert {name: count for name, count in tried.items() if count} == {"order": "K2026-014"} | expected
    assert tried["matched"] == sum(count for name, count in tried.items() if name not in ("order", "matched"))
    with database.connect() as connection:
        for table in (tables.deliveries, tables.orders, tables.selected_rows):
            assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0
    bank = institutes()[BLZ]
    announcing.announce(database, bank, "MCAG002")
    (again,) = json.loads(reku("selection", "try", "MCAG002", BLZ, "--json").stdout)
    with database.connect() as connection:
        order = connection.scalar(sa.select(tables.orders.c.id))
    system_of(bank).source.obtain(database, order, day)
    with database.connect() as connection:
        made = connection.scalar(sa.select(tables.selections.c.funnel))
    assert again == tried == {"order": "K2026-014"} | {name: made[name] for name in made if name != "rows"}
    (then,) = json.loads(reku("selection", "try", "MCAG002", BLZ, "--json").stdout)
    assert (then["selected"], then["have_a_message"]) == (0, 1)


NUMBER = "0001234567"


@pytest.mark.usefixtures("coop")
def test_why_shows_the_tree_for_a_clear_number_that_is_asked_for(database: sa.Engine, reku: Reku) -> None:
    with database.begin() as connection:
        pseudonym = pseudonymiser(connection, BLZ)(NumberKind.PERSON, NUMBER)
        add_person(connection, pseudonym, born=date(1976, 11, 22), consent=False)
    told = reku("selection", "why", "MCAG002", BLZ, "--day", "2026-11-22", typed=f"{NUMBER}\n")
    assert told.exit_code == 0, told.stderr
    assert told.stdout.splitlines()[1:] == [
        "✗ Person",
        "  ✓ Im neuesten Kundenbestand",
        "  ✓ Jahrestag (Geburtsdatum) frühestens vor 3 Tagen und spätestens heute: 22.11.2026",
        "  ✓ Alle davon",
        "    ✓ Anrede bekannt und nicht 4: 2",
        "    ✓ Geburtsdatum 10 bis 120 Jahre her, in Schritten von 10: 22.11.1976",
        "  ✗ Einwilligung in E-Mails",
        "  ✓ E-Mail-Adresse vorhanden",
        "✗ Auftrag K2026-014",
        "  ✗ Mail zum 22.11.2026 an kunde.example",
        "    ✓ Noch keine Nachricht des Auftrags",
        "    ✓ In keiner wartenden Lieferung",
        "    ✓ E-Mail-Adresse vorhanden",
        *(
            f"    {'✗' if reason is Reason.KEINE_EINWILLIGUNG else '✓'} {text} ({reason})"
            for reason, text in AGAINST.items()
        ),
    ]
    assert NUMBER not in told.stdout
    assert pseudonym not in told.stdout
    refused = reku("selection", "why", "MCAG002", BLZ, NUMBER)
    assert refused.exit_code == 2, "the number stands in no history"
    shown = reku("selection", "why", "MCAF702", BLZ, "--json", typed=f"{NUMBER}\n").stdout
    tree, order = json.loads(shown[shown.index("[") :])
    assert (order["text"], order["holds"]) == ("Noch kein Auftrag", False)
    assert (tree["text"], tree["holds"], tree["parts"][1]["value"]) == ("Vertrag", False, "unbekannt")
    nobody = reku("selection", "why", "MCAG002", BLZ, typed="0000000009\n")
    assert nobody.stdout.splitlines()[1:] == [
        "✗ In den übernommenen Daten",
        "✗ Auftrag K2026-014",
        "  ✗ Die Regel trifft an diesem Tag zu",
    ]


@pytest.mark.usefixtures("coop")
def test_why_shows_what_speaks_against_a_mail_and_who_comes_first(
    database: sa.Engine, reku: Reku, clock_at: Callable[[datetime], None]
) -> None:
    """An appointment, a message of the order, a household that shares an address: before and after it is announced."""
    day = date(2026, 11, 22)
    clock_at(clock.at(day, 6))
    with database.begin() as connection:
        for name, rank in (("first", 1), ("second", 2), ("had", 1), ("freed", 1)):
            add_person(connection, name, born=date(1976, 11, 22), household_rank=rank)
        shared = {"recipient_key": "shared", "domain": "kunde.example"}
        of = tables.person_addresses
        connection.execute(sa.update(of).where(of.c.person_number.in_(["first", "second"])).values(shared))
        home = sa.update(tables.persons).where(tables.persons.c.person_number == "second")
        connection.execute(home.values(household="first"))

    def asked(person: str, *options: str) -> list[str]:
        shown = reku("selection", "why", "MCAG002", BLZ, "--day", "2026-11-22", *options, typed=f"{person}\n")
        lines = shown.stdout.splitlines()
        return [line.strip() for line in lines[lines.index(next(x for x in lines if "Auftrag K" in x)) :]]

    def crossed(person: str) -> list[str]:
        return [line for line in asked(person) if line.startswith("✗")]

    assert crossed("first") == []
    mail = "✗ Mail zum 22.11.2026 an kunde.example"
    assert crossed("second") == ["✗ Auftrag K2026-014", mail, "✗ Kein anderes Haushaltsmitglied bekommt die Mail"]
    bank = institutes()[BLZ]
    announcing.announce(database, bank, "MCAG002")
    with database.begin() as connection:
        connection.execute(sa.delete(tables.persons).where(tables.persons.c.person_number == "second"))
    note_import(database)
    with database.connect() as connection:
        order = connection.scalar(sa.select(tables.orders.c.id))
    delivery = system_of(bank).source.obtain(database, order, day)
    assert crossed("had") == ["✗ Auftrag K2026-014", mail, "✗ In keiner wartenden Lieferung"]
    with database.begin() as connection:
        end(connection, delivery, "SENT")
        of_freed = sa.update(tables.messages).where(tables.messages.c.person_number == "freed")
        connection.execute(of_freed.values(state="WITHHELD", reason="TERMIN"))
    had = "✗ Nachricht zum 22.11.2026: SENT, Lieferung 1"
    assert crossed("had") == ["✗ Auftrag K2026-014", had, mail, "✗ Noch keine Nachricht des Auftrags"]
    assert "✓ Nachricht zum 22.11.2026: WITHHELD TERMIN, Lieferung 1" in asked("freed")
    assert crossed("freed") == []


def test_why_knows_everything_that_may_speak_against_a_candidate() -> None:
    """What people decide about messages and deliveries cannot, nor an address that mails cannot reach."""
    of_messages = {
        Reason.FREIGABE_VERWEIGERT,
        Reason.GESTOPPT,
        Reason.NICHT_ABGEHOLT,
        Reason.UNGEKLAERT,
        Reason.VERSANDSYSTEM,
        Reason.ADRESSE_UNGUELTIG,
    }
    assert list(AGAINST) == [reason for reason in Reason if reason not in of_messages]


@pytest.mark.usefixtures("coop")
@pytest.mark.parametrize("announced", [False, True])
def test_a_trial_for_another_day_judges_as_on_that_day(
    database: sa.Engine, reku: Reku, clock_at: Callable[[datetime], None], announced: bool
) -> None:
    """Windows, refusals and days of the bank's people: announced already or not."""
    today = date(2026, 11, 22)
    clock_at(clock.at(today, 6))
    if announced:
        announcing.announce(database, institutes()[BLZ], "MCAG002")
    with database.begin() as connection:
        for name, born, changes in (
            ("now", 22, {}),
            ("no consent", 22, {"consent": False}),
            ("past", 10, {}),
            ("later", 28, {}),
        ):
            add_person(connection, name, born=date(1976, 11, born), **changes)
    for day, expected in (
        ("2026-11-22", {"matched": 2, "selected": 1, "KEINE_EINWILLIGUNG": 1}),
        ("2026-11-11", {"matched": 1, "selected": 1}),
        ("2026-11-30", {"matched": 1, "selected": 1}),
    ):
        (tried,) = json.loads(reku("selection", "try", "MCAG002", BLZ, "--day", day, "--json").stdout)
        assert {name: count for name, count in tried.items() if count and name != "order"} == expected, day


@pytest.mark.usefixtures("coop")
def test_a_trial_for_another_day_meets_the_rivals_of_that_day(
    database: sa.Engine, reku: Reku, clock_at: Callable[[datetime], None]
) -> None:
    """A mail is due on the first day of its window that is not past, seen from the day that is asked for."""
    today, then = date(2026, 11, 22), date(2026, 11, 30)
    clock_at(clock.at(today, 6))
    bank = institutes()[BLZ]
    for occasion in ("MCAG002", "MCAU030"):
        announcing.announce(database, bank, occasion)
    with database.begin() as connection:
        add_person(connection, "moved", born=date(1976, 11, 20))
        told = {"institute": BLZ, "impulse": "i", "person_number": "moved", "code": "UMZUG", "priority": 5}
        connection.execute(sa.insert(tables.impulses).values(told | {"made_at": clock.at(date(2026, 11, 21), 9)}))
    note_import(database)
    with database.connect() as connection:
        order = connection.scalar(sa.select(tables.orders.c.id).where(tables.orders.c.occasion == "MCAG002"))
    delivery = system_of(bank).source.obtain(database, order, today)
    with database.begin() as connection:
        end(connection, delivery, "OPEN")
        connection.execute(sa.update(tables.messages).values(due_at=clock.at(then, 9), last_day=then))
    for day, expected in ((today, {"selected": 1}), (then, {"ANDERE_KAMPAGNE": 1})):
        (tried,) = json.loads(reku("selection", "try", "MCAU030", BLZ, "--day", f"{day}", "--json").stdout)
        assert {name: tried[name] for name in expected} == expected, day


@pytest.mark.usefixtures("coop")
def test_why_holds_for_exactly_those_whom_the_rule_selects(database: sa.Engine) -> None:
    """Conditions within has, unknown values, and each holding by itself."""
    day = date(2026, 11, 22)
    where = {
        "kind": "any",
        "of": [
            {"kind": "not", "of": {"kind": "in", "field": "segment", "values": ["PK"]}},
            {"kind": "has", "where": {"kind": "in", "field": "product", "values": ["DEPOT"]}},
        ],
    }
    rule = Selection.model_validate({"row": "holding", "on": "due", "where": where})
    window = Window(first_day=-3, last_day=0)
    held = [
        ("a", "GIRO", day),
        ("a", "DEPOT", None),
        ("b", "GIRO", day),
        ("c", "GIRO", day),
        ("c", "GIRO", date(2027, 1, 1)),
    ]
    with database.begin() as connection:
        for name, segment in (("a", "PK"), ("b", None), ("c", "FK"), ("d", "FK")):
            add_person(connection, name, segment=segment)
        for number, (person, product, due) in enumerate(held):
            values = {"institute": BLZ, "contract_number": f"v{number}", "person_number": person}
            connection.execute(sa.insert(tables.holdings).values(values | {"product": product, "due": due}))
    trees = {name: why(database, rule, window, BLZ, name, day) for name in "abcd"}
    holds = {name: sorted(str(tree.holds) for tree in several) for name, several in trees.items()}
    assert holds == {"a": ["None", "True"], "b": ["None"], "c": ["False", "True"], "d": ["None"]}
    with database.connect() as connection:
        found = {row.person_number for row in connection.execute(candidates(rule, window, BLZ, day))}
    assert found == {name for name, several in trees.items() if any(tree.holds for tree in several)}


@pytest.mark.usefixtures("coop")
def test_diff_counts_who_came_and_who_went(
    database: sa.Engine, reku: Reku, clock_at: Callable[[datetime], None]
) -> None:
    day = date(2026, 11, 22)
    bank = institutes()[BLZ]
    clock_at(clock.at(day, 6))
    announcing.announce(database, bank, "MCAG002")
    (first,) = json.loads(reku("selection", "diff", "MCAG002", BLZ, "--json").stdout)
    assert (first["selected_on"], first["before"], first["matched"]) == (None, 0, 0)
    with database.begin() as connection:
        order = connection.scalar(sa.select(tables.orders.c.id))
        for name, born in (("stays", 22), ("over", 19), ("gone", 22), ("unmet", 22)):
            add_person(connection, name, born=date(1976, 11, born))
        add_person(connection, "opens", born=date(1976, 11, 23))
        add_person(connection, "meets", born=None)
    note_import(database)
    delivery = system_of(bank).source.obtain(database, order, day)
    with database.begin() as connection:
        end(connection, delivery, "SENT")
        of = tables.persons.c
        for name, change in (
            ("gone", {"missing_since": day}),
            ("unmet", {"born": date(1977, 11, 22)}),
            ("meets", {"born": date(1986, 11, 22)}),
        ):
            connection.execute(sa.update(tables.persons).where(of.person_number == name).values(change))
    clock_at(clock.at(date(2026, 11, 23), 6))
    (then,) = json.loads(reku("selection", "diff", "MCAG002", BLZ, "--json").stdout)
    assert then == {
        "order": "K2026-014",
        "selected_on": "2026-11-22",
        "selected": 4,
        "before": 4,
        "stayed": 1,
        "window_over": 1,
        "not_in_data": 1,
        "rule_not_met": 1,
        "matched": 3,
        "window_opened": 1,
        "met_since": 1,
    }
    assert "No campaign" in reku("selection", "diff", "MCAG003", BLZ).stdout
