"""The simulated customers: open, click, unsubscribe and bounce as the world says, over real HTTP and real mails.

They know a mail only as it arrived, take their time to read it and have the devices that people have, or they would be
taken for bots. Each act is noted in the truth file `customers.jsonl`: a line `begun` before it, a line `done` after
it. The file is their memory as well: killed and started again, they take up what is not done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpx

from reku.catalogue import institutes
from reku.foundation import clock
from reku.foundation.errors import SetupError
from reku.simulator.bounce_mails import automatic_answer, status_notification
from reku.simulator.devices import device_of
from reku.simulator.html import Seen
from reku.simulator.truth_file import TruthFile, entries, put
from reku.simulator.world import DemoWorld, PlannedRow, Unsubscribes, normal_form

MOST_TRIES = 5
"""How often an act is tried that the tracker answers wrongly."""

OPENS_AFTER = timedelta(seconds=3)
"""From a mail's arrival to its being opened, by the clock of the stages."""

CLICKS_AFTER = timedelta(seconds=5)
"""From a mail's arrival to a click in it, unsubscribing included."""


@dataclass(frozen=True)
class Acts:
    """What one round of `Customers.act` came to: acts done, still to be done, given up; mails of nobody."""

    done: int = 0
    open: int = 0
    failed: int = 0
    unknown_mails: int = 0


class ActFailed(Exception):
    """An act did not work; the text says what the tracker answered. It is tried again."""


class Customers:
    """All customers of the demo world. Close it, or use it as a context manager."""

    def __init__(
        self, world: DemoWorld, *, sink_truth: Path, maildir: Path, return_maildir: Path, truth: Path, tracker_url: str
    ) -> None:
        """`sink_truth` and `maildir` are the sink's; bounce mails go to `return_maildir`.

        Raises SetupError if the truth file may not be written.
        """
        self._world, self._sink_truth, self._maildir = world, sink_truth, maildir
        self._return_maildir, self._tracker_url = return_maildir, tracker_url.rstrip("/")
        self._http = httpx.Client(timeout=10, follow_redirects=False, trust_env=False)
        self._done = {(entry["mail"], entry["act"]) for entry in entries(truth) if entry["phase"] == "done"}
        self._tries: Counter[tuple[str, str]] = Counter()
        try:
            self._truth = TruthFile(truth)
        except OSError as error:
            raise SetupError(f"The customers cannot write {error.filename}: {error.strerror}.") from None

    def __enter__(self) -> Customers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of connections and files."""
        self._http.close()
        self._truth.close()

    def act(self) -> Acts:
        """One round: react to every mail that has arrived and is not dealt with."""
        sums = Counter[str]()
        for taken in entries(self._sink_truth):
            if taken["what"] != "taken":
                continue
            row = row_of(self._world, taken)
            if row is None:
                sums["unknown_mails"] += not is_control_copy(taken)
                continue
            for act, after, perform in self._acts(row, taken):
                if (taken["mail"], act) in self._done:
                    continue
                is_due = clock.now() - datetime.fromisoformat(taken["at"]) >= after
                sums[self._try(taken, row, act, perform) if is_due else "open"] += 1
        return Acts(**sums)

    def _try(self, taken: dict[str, Any], row: PlannedRow, act: str, perform: Callable[[], dict[str, str]]) -> str:
        """One act, noted before and after; says whether it is done, open or failed."""
        key = (taken["mail"], act)
        if self._tries[key] >= MOST_TRIES:
            return "failed"
        about = {
            "act": act,
            "mail": taken["mail"],
            "institute": row.order.institute,
            "order": row.order.number,
            "delivery": row.delivery_number,
            "reference": row.reference,
        }
        self._truth.append(about | {"phase": "begun", "at": clock.now().isoformat()})
        try:
            result = perform()
        except httpx.TransportError:
            return "open"  # the tracker is away: that is no fault of the act
        except ActFailed as failure:
            self._tries[key] += 1
            self._truth.append(about | {"phase": "failed", "why": str(failure), "at": clock.now().isoformat()})
            return "open" if self._tries[key] < MOST_TRIES else "failed"
        self._truth.append(about | {"phase": "done", "at": clock.now().isoformat()} | result)
        self._done.add(key)
        return "done"

    def _acts(
        self, row: PlannedRow, taken: dict[str, Any]
    ) -> Iterator[tuple[str, timedelta, Callable[[], dict[str, str]]]]:
        """What the person does with this mail, in order, and how long after its arrival."""
        will, device, at_once = row.behaviour, device_of(row.customer.person_number), timedelta(0)
        if will.bounces:
            yield f"bounce {will.bounces}", at_once, lambda: self._bounce(taken, str(will.bounces))
        if will.auto_reply:
            yield "auto-reply", at_once, lambda: self._answer(taken)
        if will.opens:
            yield "open", OPENS_AFTER, lambda: self._open(taken, device.mail_program)
        if will.clicks:
            yield "click", CLICKS_AFTER, lambda: self._click(taken, will.clicks, device.browser)
        if will.unsubscribes is Unsubscribes.LINK:
            yield "unsubscribe LINK", CLICKS_AFTER, lambda: self._unsubscribe_by_page(taken, device.browser)
        if will.unsubscribes is Unsubscribes.EINKLICK:
            yield "unsubscribe EINKLICK", CLICKS_AFTER, lambda: self._unsubscribe_by_one_click(taken)

    def _bounce(self, taken: dict[str, Any], status: str) -> dict[str, str]:
        mail = status_notification(taken["envelope_from"], taken["recipient"], status, taken["message_id"], clock.now())
        put(self._return_maildir, mail)
        return {"status": status}

    def _answer(self, taken: dict[str, Any]) -> dict[str, str]:
        put(self._return_maildir, automatic_answer(taken["envelope_from"], taken["recipient"], clock.now()))
        return {}

    def _open(self, taken: dict[str, Any], agent: str) -> dict[str, str]:
        """Load the images, as a mail program does. Only those of the tracker: the others are on no network here."""
        pixels = [image for image in self._seen(taken).images if self._is_tracker(image)]
        for pixel in pixels:
            answer = self._get(pixel, agent)
            if answer.status_code != httpx.codes.OK:
                raise ActFailed(f"the pixel was answered with {answer.status_code}")
        return {"pixels": str(len(pixels))}

    def _click(self, taken: dict[str, Any], which: int, agent: str) -> dict[str, str]:
        """Follow a counted link, up to where the tracker sends us; `target` is that place without query."""
        links = [link.href for link in self._seen(taken).links if not _is_farewell(link.text)]
        counted = [href for href in links if self._is_tracker(href)]
        if not counted:
            return {"counted": "no"}  # its links lead straight to places that are on no network here
        href = counted[(which - 1) % len(counted)]
        answer = self._get(href, agent)
        if not answer.has_redirect_location:
            raise ActFailed(f"a link was answered with {answer.status_code}, not with a redirect")
        anonymous = urlsplit(href).path.startswith("/a/")
        return {"target": _without_query(answer.headers["Location"]), "counted": "anonymously" if anonymous else "yes"}

    def _unsubscribe_by_page(self, taken: dict[str, Any], agent: str) -> dict[str, str]:
        """Follow the link that says so, and press the button of the page."""
        farewells = [link.href for link in self._seen(taken).links if _is_farewell(link.text)]
        if not farewells:
            raise ActFailed("the mail has no link to unsubscribe")
        page = self._get(farewells[0], agent)
        if page.status_code != httpx.codes.OK:
            raise ActFailed(f"the unsubscribe page was answered with {page.status_code}")
        forms = [form for form in Seen(page.text).forms if form.method == "post"]
        if not forms:
            raise ActFailed("the unsubscribe page has no form to post")
        answer = self._http.post(urljoin(str(page.url), forms[0].action), data=forms[0].values)
        if answer.status_code != httpx.codes.OK:
            raise ActFailed(f"the unsubscribe form was answered with {answer.status_code}")
        return {}

    def _unsubscribe_by_one_click(self, taken: dict[str, Any]) -> dict[str, str]:
        """The mail program's button: one POST, no cookies, no redirect (RFC 8058)."""
        mail = self._mail(taken)
        if mail["List-Unsubscribe-Post"] != "List-Unsubscribe=One-Click":
            raise ActFailed("the mail offers no one-click unsubscribe")
        choices = [part.strip(" <>\r\n\t") for part in str(mail["List-Unsubscribe"]).split(",")]
        urls = [choice for choice in choices if choice.startswith("http")]
        if not urls:
            raise ActFailed("List-Unsubscribe has no http address")
        answer = self._http.post(urls[0], data={"List-Unsubscribe": "One-Click"})
        if answer.status_code != httpx.codes.OK:
            raise ActFailed(f"the one-click unsubscribe was answered with {answer.status_code}")
        return {}

    def _get(self, url: str, agent: str) -> httpx.Response:
        return self._http.get(url, headers={"User-Agent": agent})

    def _mail(self, taken: dict[str, Any]) -> EmailMessage:
        content = (self._maildir / "new" / taken["mail"]).read_bytes()
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)  # noqa: S101 # what policy.default makes, only typeshed can't say so
        return mail

    def _seen(self, taken: dict[str, Any]) -> Seen:
        part = self._mail(taken).get_body(("html",))
        if part is None:
            raise ActFailed("the mail has no HTML part")
        return Seen(part.get_content())

    def _is_tracker(self, url: str) -> bool:
        return url.startswith(f"{self._tracker_url}/")


def row_of(world: DemoWorld, taken: dict[str, Any]) -> PlannedRow | None:
    """The row of a mail in the sink's truth file, by recipient and Feedback-ID; None if it belongs to none."""
    delivery, order, institute = _sent_for(taken)
    return world.row_of(institute, order, delivery, taken["recipient"]) if institute else None


def is_control_copy(taken: dict[str, Any]) -> bool:
    """Whether a mail in the sink's truth file is the copy for its own bank's control address: nobody reacts to it."""
    bank = institutes().get(_sent_for(taken)[2])
    if bank is None or bank.control_address is None:
        return False
    return normal_form(bank.control_address) == normal_form(taken["recipient"])


def _sent_for(taken: dict[str, Any]) -> tuple[int, str, str]:
    """Delivery number, order number and BLZ out of a mail's Feedback-ID; an empty BLZ where it has none of ours."""
    parts = str(taken["feedback_id"]).split(":")
    if len(parts) != 4 or not parts[0].isdecimal():
        return 0, "", ""
    return int(parts[0]), parts[1], parts[2]


def _is_farewell(text: str) -> bool:
    return "abmeld" in text.lower() or "abbestell" in text.lower()


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
