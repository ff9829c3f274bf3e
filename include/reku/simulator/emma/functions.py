"""The functions of the web service, by the names that are appended to its address: form fields in, result out."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from reku.simulator.emma.account import EmmaAccount, Event, Refusal

Form = Mapping[str, str]
PAGE = 1000
"""Rows of a page, whatever larger limit is asked for."""


def carry_out(account: EmmaAccount, function: str, form: Form, *, repeat_at_borders: bool) -> Any:
    """The result of a function. Raises Refusal, and KeyError for a function that there is not.

    `repeat_at_borders`: each page begins with the last row of the page before it.
    """
    account.calls[function] += 1
    if function in _EVENTS:
        return _events(account, function, form, repeat_at_borders=repeat_at_borders)
    return _FUNCTIONS[function](account, form)


def _number(form: Form, name: str, missing: int) -> int:
    value = form.get(name, "")
    if not value.isdigit():
        raise Refusal(missing, f"{name} missing")
    return int(value)


def _lists(account: EmmaAccount, _form: Form) -> Any:
    return [{"id": number} | one for number, one in account.lists.items()]


def _create_list(account: EmmaAccount, form: Form) -> Any:
    return account.create_list(
        form.get("name", ""), form.get("advanced[description]", ""), form.get("advanced[substitute]", "")
    )


def _delete_list(account: EmmaAccount, form: Form) -> Any:
    number = _number(form, "listId", 2)
    if number not in account.lists:
        raise Refusal(3, "no such list")
    account.delete_list(number)
    return True


def _count(account: EmmaAccount, form: Form) -> Any:
    number = _number(form, "listId", 2)
    if number not in account.lists:
        raise Refusal(3, "no such list")
    return len(account.members[number])


def _fields(account: EmmaAccount, _form: Form) -> Any:
    return [{"id": number, "name": name} for number, name in account.fields.items()]


def _create_recipient(account: EmmaAccount, form: Form) -> Any:
    list_id = _number(form, "listId", 2)
    values = {found[1]: value for name, value in form.items() if (found := re.fullmatch(r"fields\[(\d+)\]", name))}
    if not values:
        raise Refusal(3, "no fields")
    if list_id not in account.lists:
        raise Refusal(4, "invalid list")
    if not all(int(number) in account.fields for number in values):
        raise Refusal(5, "invalid field")
    return account.bring_in(list_id, {account.fields[int(number)]: value for number, value in values.items()})


def _ids_by_field(account: EmmaAccount, form: Form) -> Any:
    return account.people_with(_number(form, "fieldId", 2), form.get("value", ""))


def _import(account: EmmaAccount, form: Form) -> Any:
    list_id = _number(form, "listId", 2)
    try:
        rows = json.loads(base64.b64decode(form.get("data", ""), validate=True))
    except (binascii.Error, ValueError):
        raise Refusal(3, "rows cannot be read") from None
    return account.start_import(list_id, form.get("advanced[substitute]", ""), rows)


def _imports(account: EmmaAccount, form: Form) -> Any:
    account.step_imports()
    wanted = form.get("advanced[substitute]", "")
    return [job.told() for job in account.imports.values() if wanted in ("", job.substitute)]


def _emails(account: EmmaAccount, form: Form) -> Any:
    kind, status = form.get("advanced[type]", ""), form.get("advanced[status]", "")
    return [
        {"id": number} | one
        for number, one in account.mailings.items()
        if kind in ("", one["type"]) and status in ("", one["status"])
    ]


def _email(account: EmmaAccount, form: Form) -> Any:
    number = _number(form, "emailId", 2)
    if number not in account.mailings:
        raise Refusal(3, "no such mailing")
    return {"id": number} | account.mailings[number]


def _opt_out(account: EmmaAccount, form: Form) -> Any:
    lists = [int(form["listId"])] if form.get("listId") else []
    account.opt_out(_number(form, "recipientId", 2), None, lists)
    return True


def _retained(account: EmmaAccount, form: Form) -> Any:
    bounds = []
    for code, name in enumerate(("lastHardBounceFrom", "lastHardBounceTo"), start=2):
        try:
            bounds.append(date.fromisoformat(form.get(name, "")))
        except ValueError:
            raise Refusal(code, f"{name} is no date") from None
    if bounds[1] < bounds[0]:
        raise Refusal(4, "the last day lies before the first")
    within = [one for one, at in account.retained.items() if bounds[0] <= at.date() <= bounds[1]]
    return {"total": len(within), "data": [{"address": one} for one in within[:10_000]]}


def _export(account: EmmaAccount, form: Form) -> Any:
    number = next(account.ids)
    account.exports[number] = {"asked": 0, "since": form.get("startDate", ""), "type": form.get("type", "")}
    return number


def _exported(account: EmmaAccount, form: Form) -> Any:
    number = _number(form, "exportId", 2)
    if number not in account.exports:
        raise Refusal(3, "no such export")
    export = account.exports[number]
    export["asked"] += 1
    if export["asked"] < account.import_steps:
        return {"status": "running", "data": []}
    rows = [one for one in account.history if one["date"] >= export["since"] and one["type"] == export["type"]]
    return {"status": "done", "data": _page(account, rows, form, "id", repeat_at_borders=False)}


_FUNCTIONS: Mapping[str, Callable[[EmmaAccount, Form], Any]] = {
    "getLists": _lists,
    "createList": _create_list,
    "deleteListById": _delete_list,
    "getRecipientCountByListId": _count,
    "getFields": _fields,
    "createRecipient": _create_recipient,
    "getRecipientIdsByFieldIdAndValue": _ids_by_field,
    "importRecipients": _import,
    "getImports": _imports,
    "getMailings": _emails,
    "getEmailById": _email,
    "optoutRecipientById": _opt_out,
    "getRetainedEmailAddresses": _retained,
    "exportHistory": _export,
    "getHistoryExport": _exported,
}

_EVENTS: Mapping[str, tuple[str, int, int, str]] = {
    "getRecipientsByEmailId": ("recipients", 2, 2, "id"),
    "getOpeningsByEmailId": ("openings", 2, 3, "id"),
    "getClicksByEmailId": ("clicks", 2, 3, "field"),
    "getBouncesByEmailId": ("bounces", 3, 3, "field"),
    "getOptouts": ("", 0, 0, "id"),
}
"""Functions that page through events: what they tell, their codes for a missing and for an unknown mailing, and how
they call a field's number."""


def _events(account: EmmaAccount, function: str, form: Form, *, repeat_at_borders: bool) -> Any:
    kind, missing, unknown, calls_it = _EVENTS[function]
    if kind:
        number = _number(form, "emailId", missing)
        if number not in account.mailings:
            raise Refusal(unknown, "no such mailing")
        if kind == "clicks" and not account.events["recipients", number]:
            raise Refusal(4, "not sent yet")
        rows: Sequence[Event] = account.events[kind, number]
    else:
        rows = account.optouts
    since = form.get("advanced[startDate]", "")
    wanted = [one for one in rows if one["date"] >= since]
    return _page(account, wanted, form, calls_it, repeat_at_borders=repeat_at_borders)


def _page(account: EmmaAccount, rows: Sequence[Event], form: Form, calls_it: str, *, repeat_at_borders: bool) -> Any:
    start, limit = int(form.get("advanced[start]", "0")), min(int(form.get("advanced[limit]", str(PAGE))), PAGE)
    first = max(0, start - 1) if repeat_at_borders and start < len(rows) else start
    asked = [int(value) for name, value in form.items() if name.startswith("advanced[fields]") and value.isdigit()]
    return [_told(account, one, asked, calls_it) for one in rows[first : start + limit]]


def _told(account: EmmaAccount, event: Event, asked: Sequence[int], calls_it: str) -> Event:
    values = event["values"]
    fields = [{calls_it: number, "value": values.get(account.fields.get(number, ""), "")} for number in asked]
    return {name: value for name, value in event.items() if name != "values"} | {"fields": fields}


def nested(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Form fields by their names; a name that ends with [] gets its place in place of it."""
    named: dict[str, str] = {}
    for place, (name, value) in enumerate(pairs):
        named[f"{name[:-1]}{place}]" if name.endswith("[]") else name] = value
    return named
