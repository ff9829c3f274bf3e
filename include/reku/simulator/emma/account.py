"""One EMMA account in memory: lists, people, imports, mailings, and all that happened to a mailing's recipients.

A mailing of type campaign that is activated sends to whoever is brought into its list with a key (field
`REKU_Schluessel`) that it has not sent to yet. Nothing happens by time: an import goes one step on whenever somebody
asks for it, and people react when the test or the demo says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from reku.foundation import clock

MOST_LISTS = 150
"""So many lists has an account."""
EMAIL, KEY = "E-Mail", "REKU_Schluessel"
FIELDS = (EMAIL, KEY, "Anrede", "Titel", "Vorname", "Nachname", "Briefanrede", "Anlass_Datum", "Anlass_Wert")
"""Fields of a fresh account; their numbers are their places, from 1."""

Event = dict[str, Any]


class Refusal(Exception):
    """A function says no, with its code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass
class ImportJob:
    """An import: it is queued, then running, then done, each time one step on when somebody asks."""

    id: int
    substitute: str
    list_id: int
    rows: list[dict[str, str]]
    steps_left: int
    status: str = "queued"
    imported: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """As the web service tells it."""
        own = {name: getattr(self, name) for name in ("id", "substitute", "status", "imported", "errors")}
        return own | {"listId": self.list_id}


@dataclass
class EmmaAccount:
    """An account of one bank.

    `clock_is_off`: by how much its clock goes wrong; `import_steps`: how often an import has to be asked for until it
    is done; `blacklist`, `complaints`, `excluded`, `retained`: addresses that no mailing is sent to. `calls`: how often
    each function was called.
    """

    username: str
    password: str
    expired: bool = False
    clock_is_off: timedelta = timedelta()
    import_steps: int = 2
    fields: dict[int, str] = field(default_factory=lambda: dict(enumerate(FIELDS, start=1)))
    lists: dict[int, dict[str, Any]] = field(default_factory=dict)
    mailings: dict[int, dict[str, Any]] = field(default_factory=dict)
    people: dict[int, dict[str, str]] = field(default_factory=dict)
    members: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    imports: dict[int, ImportJob] = field(default_factory=dict)
    events: dict[tuple[str, int], list[Event]] = field(default_factory=lambda: defaultdict(list))
    optouts: list[Event] = field(default_factory=list)
    history: list[Event] = field(default_factory=list)
    retained: dict[str, datetime] = field(default_factory=dict)
    withheld: dict[str, str] = field(default_factory=dict)
    sent_keys: set[tuple[int, str]] = field(default_factory=set)
    exports: dict[int, dict[str, Any]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    ids: Iterator[int] = field(default_factory=lambda: count(1001))
    _by_address: dict[str, int] = field(default_factory=dict)

    def add_email(self, list_id: int, *, kind: str = "campaign", status: str = "activated") -> int:
        """A mailing for a list; returns its number."""
        number = next(self.ids)
        self.mailings[number] = {"type": kind, "status": status, "subject": "Alles Gute", "listId": [list_id]}
        return number

    def delete_list(self, list_id: int) -> None:
        """Delete a list by hand."""
        del self.lists[list_id]
        self.members.pop(list_id, None)

    def now(self) -> str:
        """The account's time as it writes it, Berlin time."""
        return self.shown(clock.now() + self.clock_is_off)

    @staticmethod
    def shown(moment: datetime) -> str:
        """A moment as the account writes it."""
        return f"{clock.berlin(moment):%Y-%m-%d %H:%M:%S}"

    def create_list(self, name: str, description: str, substitute: str) -> int:
        """A new list. The account has at most 150."""
        if not name:
            raise Refusal(2, "no name")
        if any(one["name"] == name for one in self.lists.values()):
            raise Refusal(3, "name taken")
        if len(self.lists) >= MOST_LISTS:
            raise Refusal(4, "list limit reached")
        number = next(self.ids)
        self.lists[number] = {"name": name, "description": description, "substitute": substitute}
        return number

    def bring_in(self, list_id: int, values: Mapping[str, str], *, merge: bool = True) -> int:
        """A person on a list, by his address unless he is to stand twice; returns his number."""
        address = values[EMAIL]
        person = self._by_address.get(address.lower()) if merge else None
        if person is None:
            person = next(self.ids)
            self.people[person] = {}
            self._by_address.setdefault(address.lower(), person)
        self.people[person] |= values
        self.members[list_id].add(person)
        return person

    def people_with(self, field_id: int, value: str) -> list[int]:
        """The people whose field has that value."""
        if field_id not in self.fields:
            raise Refusal(3, "no such field")
        return [number for number, values in self.people.items() if values.get(self.fields[field_id]) == value]

    def start_import(self, list_id: int, substitute: str, rows: Sequence[Mapping[str, str]]) -> int:
        """Queue an import; one of a list at a time."""
        if list_id not in self.lists:
            raise Refusal(4, "no such list")
        if any(unknown := set(row) - set(self.fields.values()) for row in rows):
            raise Refusal(5, f"no such field: {sorted(unknown)[0]}")
        if any(job.list_id == list_id and job.status in ("queued", "running") for job in self.imports.values()):
            raise Refusal(6, "another import is running")
        number = next(self.ids)
        self.imports[number] = ImportJob(number, substitute, list_id, [dict(row) for row in rows], self.import_steps)
        return number

    def step_imports(self) -> None:
        """Take each import one step on."""
        for job in self.imports.values():
            if job.status in ("queued", "running"):
                job.steps_left -= 1
                job.status = "running"
                if job.steps_left <= 0:
                    self._carry_out(job)

    def _carry_out(self, job: ImportJob) -> None:
        for place, row in enumerate(job.rows, start=1):
            if "@" not in row.get(EMAIL, "") or row[EMAIL].endswith(".invalid"):
                job.errors.append({"row": place, "reason": "invalid_address"})
                continue
            person = self.bring_in(job.list_id, row)
            job.imported += 1
            self._react(job.list_id, person)
        job.status, job.rows = "done", []

    def _react(self, list_id: int, person: int) -> None:
        """What active campaigns do about a person who came to their list, or came again with another key."""
        for number, mailing in self.mailings.items():
            if list_id in mailing["listId"] and mailing["type"] == "campaign" and mailing["status"] == "activated":
                self.send(number, person)

    def send(self, mailing: int, person: int) -> None:
        """Send a mailing to a person, unless it went to his key already or he is not to get any."""
        values = self.people[person]
        if (mailing, values.get(KEY, "")) in self.sent_keys:
            return
        self.sent_keys.add((mailing, values.get(KEY, "")))
        address = values[EMAIL].lower()
        reason = self.withheld.get(address) or ("retained" if address in self.retained else "")
        if reason or person in {one["recipient"] for one in self.optouts}:
            self.note_history(mailing, person, "notsent", reason=reason or "optout")
        else:
            self.note("recipients", mailing, person)

    def note(self, kind: str, mailing: int, person: int, **more: Any) -> None:
        """Note an event of a mailing: recipients, openings, clicks or bounces."""
        self.events[kind, mailing].append(self._event(person, **more))

    def note_history(self, mailing: int, person: int, kind: str, **more: Any) -> None:
        """Note what only the history tells: who was not sent to, and complaints."""
        self.history.append(self._event(person, email=mailing, type=kind, **more))

    def opt_out(self, person: int, mailing: int | None = None, lists: Sequence[int] = ()) -> None:
        """Unsubscribe a person."""
        if person not in self.people:
            raise Refusal(3, "no such recipient")
        self.optouts.append(self._event(person, email=mailing, listId=list(lists), optoutSetup=1))

    def _event(self, person: int, **more: Any) -> Event:
        return {"recipient": person, "date": self.now(), "values": dict(self.people.get(person, {}))} | more
