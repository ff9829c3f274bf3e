"""The client: error codes in words, what is tried again and what is not, shapes, and nothing secret in any word."""

from __future__ import annotations

from typing import Any

import pytest

from reku.channels.emma.answers import EmmaField, EmmaList, RetainedAddresses, Row
from reku.channels.emma.client import TRIES, EmmaClient, Login, form_of
from reku.channels.emma.errors import EmmaAway, EmmaLoginRefused, EmmaRefused, EmmaShape
from reku.simulator.emma.account import EMAIL, EmmaAccount
from reku.simulator.emma.server import EmmaServer, Trouble
from reku_testing.dispatching import BANK as BLZ

DAYS = {"lastHardBounceFrom": "2026-11-01", "lastHardBounceTo": "2026-11-30"}


@pytest.mark.parametrize(
    ("function", "given", "code", "words"),
    [
        ("getBouncesByEmailId", {}, 3, "no valid number of a mailing"),
        ("getBouncesByEmailId", {"emailId": 99}, 3, "no valid number of a mailing"),
        ("getClicksByEmailId", {}, 2, "no mailing was given"),
        ("getClicksByEmailId", {"emailId": 99}, 3, "there is no such mailing"),
        ("getClicksByEmailId", {"emailId": "MAILING"}, 4, "it was not sent yet"),
        ("getRecipientsByEmailId", {"emailId": "x"}, 2, "no valid number of a mailing"),
        ("getRetainedEmailAddresses", {}, 2, "the first day is no date"),
        ("getRetainedEmailAddresses", DAYS | {"lastHardBounceTo": "30.11.2026"}, 3, "the last day is no date"),
        ("getRetainedEmailAddresses", DAYS | {"lastHardBounceTo": "2026-10-30"}, 4, "lies before the first"),
        ("createRecipient", {"fields": {"1": "x"}}, 2, "no list was given"),
        ("createRecipient", {"listId": 1}, 3, "no fields were given"),
        ("createRecipient", {"listId": 99, "fields": {"1": "x"}}, 4, "no such list"),
        ("createRecipient", {"listId": "LIST", "fields": {"77": "x"}}, 5, "no such field"),
        ("createList", {"name": ""}, 2, "no name was given"),
        ("createList", {"name": "Liste"}, 3, "the name is taken"),
        ("importRecipients", {"listId": "LIST", "data": "%"}, 3, "the rows cannot be read"),
        ("importRecipients", {"listId": 99, "data": "W10="}, 4, "there is no such list"),
        ("optoutRecipientById", {"recipientId": 99}, 3, "there is no such recipient"),
        ("getHistoryExport", {"exportId": 99}, 3, "there is no such export"),
        ("getSomething", {}, -1, "docs/emma.md does not know"),
    ],
)
def test_codes_come_in_words(
    client: EmmaClient, account: EmmaAccount, function: str, given: dict[str, Any], code: int, words: str
) -> None:
    list_id = account.create_list("Liste", "", "a")
    real = {"LIST": list_id, "MAILING": account.add_email(list_id)}
    with pytest.raises(EmmaRefused) as refused:
        client.ask(function, int, **{name: real.get(str(value), value) for name, value in given.items()})
    assert refused.value.code == code
    assert words in str(refused.value)
    assert function in str(refused.value)
    assert BLZ in str(refused.value)


def test_the_150th_list_is_the_last(client: EmmaClient, account: EmmaAccount) -> None:
    for number in range(150):
        account.create_list(f"Liste {number}", "", str(number))
    with pytest.raises(EmmaRefused, match="has all its lists"):
        client.ask("createList", int, name="Noch eine")


@pytest.mark.parametrize("wrong", ["password", "expired"])
def test_a_log_in_that_fails_says_what_to_do(emma_url: str, account: EmmaAccount, wrong: str) -> None:
    account.expired = wrong == "expired"
    password = "falsch!" if wrong == "password" else "geheim"
    with EmmaClient(BLZ, emma_url, Login(BLZ, password)) as client, pytest.raises(EmmaLoginRefused) as refused:
        client.ask("getLists", list[EmmaList])
    assert "REKU_EMMA_ACCOUNTS" in str(refused.value)
    assert password not in str(refused.value)
    assert account.calls == {}
    assert password not in repr(Login(BLZ, password))


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(status=429, retry_after="3"),
        Trouble(status=503),
        Trouble(status=500),
        Trouble(status=503, afterwards=True),
        Trouble(text="<html>Wartung</html>"),
        Trouble(half=20),
        Trouble(half=0),
    ],
)
def test_what_may_be_repeated_is_tried_again(
    client: EmmaClient, emma: EmmaServer, account: EmmaAccount, trouble: Trouble
) -> None:
    account.create_list("Liste", "", "a")
    emma.troubles.extend([trouble] * (TRIES - 1))
    assert [one.substitute for one in client.ask("getLists", list[EmmaList])] == ["a"]
    emma.troubles.extend([trouble] * TRIES)
    with pytest.raises(EmmaAway) as away:
        client.ask("getLists", list[EmmaList])
    assert "getLists" in str(away.value)
    assert "Wartung" not in str(away.value)
    assert not emma.troubles


@pytest.mark.parametrize("trouble", [Trouble(status=503), Trouble(status=503, afterwards=True), Trouble(half=3)])
def test_what_may_not_be_repeated_is_tried_once(
    client: EmmaClient, emma: EmmaServer, account: EmmaAccount, trouble: Trouble
) -> None:
    emma.troubles.append(trouble)
    with pytest.raises(EmmaAway):
        client.once("createList", int, name="Liste")
    assert account.calls["createList"] == (0 if trouble.status and not trouble.afterwards else 1)


def test_pauses_grow_and_follow_the_server(emma_url: str, emma: EmmaServer) -> None:
    slept: list[float] = []
    emma.troubles.extend(
        [Trouble(status=429, retry_after="7"), Trouble(status=429, retry_after="4000"), Trouble(half=0)]
    )
    with EmmaClient(BLZ, emma_url, Login(BLZ, "geheim"), sleep=slept.append) as client:
        client.ask("getLists", list[EmmaList])
    assert [7 <= slept[0] < 9, slept[1], 4 <= slept[2] <= 6] == [True, 60, True]


def test_a_silent_server_is_away(emma_url: str, emma: EmmaServer) -> None:
    emma.troubles.append(Trouble(seconds=0.3))
    with EmmaClient(BLZ, emma_url, Login(BLZ, "geheim"), timeout=0.05) as client, pytest.raises(EmmaAway) as away:
        client.once("getLists", list[EmmaList])
    assert "ReadTimeout" in str(away.value)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"result": []}', "missing required field `error`"),
        ('{"error": 0, "result": {"lists": []}}', "result: Expected `array`, got `object`"),
        ('{"error": 0, "result": [{"id": 1, "name": null}]}', "`$[0].name`"),
        ('{"error": 0, "result": [{"name": "geheim"}]}', "missing required field `id` - at `$[0]`"),
    ],
)
def test_another_shape_names_call_and_field(client: EmmaClient, emma: EmmaServer, text: str, what: str) -> None:
    emma.troubles.append(Trouble(text=text))
    with pytest.raises(EmmaShape) as shape:
        client.ask("getLists", list[EmmaList])
    assert what in str(shape.value)
    assert "getLists" in str(shape.value)
    assert "geheim" not in str(shape.value)


def test_another_encoding_is_told_from_umlauts(client: EmmaClient, emma: EmmaServer, account: EmmaAccount) -> None:
    account.create_list("Straße in Köln", "", "a")
    assert [one.name for one in client.ask("getLists", list[EmmaList])] == ["Straße in Köln"]
    emma.troubles.append(Trouble(encoding="iso-8859-1"))
    with pytest.raises(EmmaShape, match="another encoding"):
        client.ask("getLists", list[EmmaList])


def test_pages_end_and_may_repeat_at_their_borders(client: EmmaClient, emma: EmmaServer, account: EmmaAccount) -> None:
    list_id = account.create_list("Liste", "", "a")
    mailing = account.add_email(list_id)
    for number in range(2001):
        account.note("openings", mailing, account.bring_in(list_id, {EMAIL: f"p{number}@kunde.example"}))
    for repeats in (False, True):
        emma.repeat_at_borders = repeats
        got = [row.recipient for _, rows in client.pages("getOpeningsByEmailId", emailId=mailing) for row in rows]
        assert len(set(got)) == 2001
        assert (len(got) > 2001) is repeats
    assert [start for start, _ in client.pages("getOpeningsByEmailId", emailId=mailing, start=2000)] == [3000]


@pytest.mark.parametrize(("function", "kind"), [("openings", "getOpenings"), ("clicks", "getClicks")])
def test_a_field_is_named_by_field_or_id(client: EmmaClient, account: EmmaAccount, function: str, kind: str) -> None:
    list_id = account.create_list("Liste", "", "a")
    mailing = account.add_email(list_id)
    person = account.bring_in(list_id, {EMAIL: "ä@kunde.example"})
    account.send(mailing, person)
    account.note(function, mailing, person)
    (row,) = client.ask(f"{kind}ByEmailId", list[Row], emailId=mailing, advanced={"fields": [1]})
    assert row.value_of("1") == "ä@kunde.example"
    assert "kunde" not in str(row.without_person())
    assert row.at().utcoffset() is not None


def test_nothing_stands_in_addresses(client: EmmaClient, emma: EmmaServer, account: EmmaAccount) -> None:
    account.retained["x@kunde.example"] = Row(1, "2026-11-24 10:00:00").at()
    assert client.ask("getRetainedEmailAddresses", RetainedAddresses, **DAYS).total == 1
    assert [one.name for one in client.ask("getFields", list[EmmaField])][:2] == [EMAIL, "REKU_Schluessel"]
    assert {url.rpartition("/")[2] for url in emma.log} == {"getRetainedEmailAddresses", "getFields"}


def test_parameters_nest_as_the_service_has_them() -> None:
    assert form_of({"listId": 3, "none": None, "fields": {"7": "x"}, "advanced": {"limit": 5, "fields": [1, 2]}}) == {
        "listId": "3",
        "fields[7]": "x",
        "advanced[limit]": "5",
        "advanced[fields][]": ["1", "2"],
    }
