"""A return mailbox on an IMAP server (RFC 3501 with UIDPLUS, RFC 4315; MOVE, RFC 6851, where the server has it).

The standard library's imaplib is enough: each step is one command, and libraries above it fetch whole mails, however
large. Mails are handled by UID, and fetched with PEEK, so that looking at one changes nothing.
"""

from __future__ import annotations

import hashlib
import imaplib
import re
import ssl
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from reku.foundation import clock
from reku.foundation.errors import PassingError, SetupError
from reku.foundation.one_by_one import one_by_one
from reku.foundation.settings import Settings
from reku.mailbox.bounded_imap import BoundedImap, BoundedImapTls
from reku.mailbox.returned_mail import MAX_BYTES, SEEN, UNCLEAR, ReturnedMail

TIMEOUT_SECONDS = 60.0
FILING_SECONDS = 300.0
"""How long a session may take in all, beside the time of one collection: to search, and to file what was read."""

AT_ONCE = 20
"""Mails fetched with one command: bounds the memory."""

MOST = 50_000
"""Mails looked at in one collection: imaplib takes no answer of more than 1 MB."""

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UID = re.compile(rb"\bUID (\d+)")
_ARRIVED = re.compile(rb'\bINTERNALDATE "\s*(\d{1,2})-([A-Za-z]{3})-(\d{4}) ')
_NEXT = re.compile(rb"\d+ \(")
_QUOTED_TEXT = re.compile(rb'\bBODY\[\](?:<0>)? (?:"((?:[^"\\]|\\.)*)"|NIL)', re.IGNORECASE)
_UNDATED = date(1970, 1, 1)
"""Stands in the name of a mail for whose arrival the server tells no day."""

_DELIMITER = re.compile(rb'^\([^)]*\) (?:"\\?(.)"|NIL) ')


@dataclass(frozen=True)
class _Fetched:
    uid: str
    arrived: date
    data: bytes

    @property
    def name(self) -> str:
        """Day of arrival and check sum: both survive a move into another folder, a UID does not."""
        return f"{self.arrived.isoformat()}.{hashlib.sha256(self.data).hexdigest()[:40]}"


class ImapMailbox:
    """A folder of an IMAP account; what was filed lies in folders below it, which are made when they are missing."""

    def __init__(self, client: BoundedImap, folder: str, place: str) -> None:
        self._client, self._folder, self.place = client, folder, place
        self._abilities = str(client.capability()[1][0], "ascii").upper().split()  # others than before the login
        self._selected = ""
        self._waiting_now = 0
        delimiter = self._delimiter()
        self._boxes = {name: f"{folder}{delimiter}{name}" if delimiter else name for name in (SEEN, UNCLEAR)}

    @classmethod
    @contextmanager
    def opened(cls, s: Settings) -> Iterator[ImapMailbox]:
        """Log in, and out at the end. Raises SetupError for what a person has to mend, PassingError for a lost one."""
        place = f"the folder {s.bounce_imap_folder} of the IMAP server {s.bounce_imap_host}:{s.bounce_imap_port}"
        with _plain_errors(place):
            client = _connected(s)
            try:
                _log_in(client, s)
                mailbox = cls(client, s.bounce_imap_folder, place)
                mailbox._prepare()
                yield mailbox
            finally:
                with suppress(OSError, imaplib.IMAP4.error):
                    client.logout()

    def waiting(self) -> Iterator[ReturnedMail]:
        """See Mailbox."""
        self._select(self._folder)
        uids = self._search("ALL" if self._waiting_now <= MOST else f"1:{MOST}")
        for fetched in self._fetch(self._folder, uids):
            yield ReturnedMail(fetched.uid, fetched.name, fetched.data)

    def file(self, letters: Mapping[str, Sequence[str]]) -> None:
        """See Mailbox. What was dealt with is marked as read."""
        self._select(self._folder)
        for folder, keys in letters.items():
            self._move(keys, folder)

    def count(self) -> dict[str, int]:
        """See Mailbox."""
        return {"new": self._messages(self._folder)} | {
            name: self._messages(folder) for name, folder in self._boxes.items()
        }

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        """See Mailbox."""
        return {fetched.name: fetched.data for _, fetched in self._named(names)}

    def refile(self, names: Collection[str], folder: str) -> None:
        """See Mailbox."""
        for source, uids in self._uids_of(names).items():
            if source != self._boxes[folder]:
                self._select(source)
                self._move(uids, folder)

    def remove(self, names: Collection[str]) -> int:
        """See Mailbox."""
        mails = self._uids_of(names)
        for folder, uids in mails.items():
            self._select(folder)
            self._expunge(uids)
        return sum(map(len, mails.values()))

    def remove_old(self, days: int) -> int:
        """See Mailbox. A server's dates have no time, so a mail stays up to a day longer."""
        limit = datetime.now(clock.BERLIN).date() - timedelta(days=days)
        removed = 0
        for folder in self._boxes.values():
            self._select(folder)
            uids = self._search("BEFORE", _shown(limit))
            self._expunge(uids)
            removed += len(uids)
        return removed

    def _move(self, keys: Sequence[str], folder: str) -> None:
        """Out of the selected folder."""
        if not keys:
            return
        uids, target = ",".join(keys), _quoted(self._boxes[folder])
        if folder == SEEN:
            self._uid("STORE", uids, "+FLAGS.SILENT", r"(\Seen)")
        if "MOVE" in self._abilities:
            self._uid("MOVE", uids, target)
        else:
            self._uid("COPY", uids, target)
            self._expunge(keys)

    def _uids_of(self, names: Collection[str]) -> dict[str, list[str]]:
        """Where mails with these names lie, by folder."""
        mails: dict[str, list[str]] = defaultdict(list)
        for folder, fetched in self._named(names):
            mails[folder].append(fetched.uid)
        return mails

    def _named(self, names: Collection[str]) -> Iterator[tuple[str, _Fetched]]:
        """Where mails with these names lie. Servers search by day only, the check sum tells."""
        days = {day for name in names if (day := _day(name))}
        for folder in (self._folder, *self._boxes.values()) if days else ():
            self._select(folder)
            for day in sorted(days):
                around = ("SINCE", _shown(day - timedelta(days=1)), "BEFORE", _shown(day + timedelta(days=2)))
                uids = self._search(*(("ALL",) if day == _UNDATED else around))
                for fetched in self._fetch(folder, uids):
                    if fetched.name in names and fetched.arrived == day:
                        yield folder, fetched

    def _fetch(self, folder: str, uids: Sequence[str]) -> Iterator[_Fetched]:
        """The beginnings of mails; those that are gone are left out."""
        for start in range(0, len(uids), AT_ONCE):
            self._select(folder)  # whoever takes the mails may have gone elsewhere meanwhile
            some = uids[start : start + AT_ONCE]
            fetched: list[_Fetched] = []

            def fetch(several: Sequence[str], to: list[_Fetched] = fetched) -> None:
                answer = self._uid("FETCH", ",".join(several), f"(UID INTERNALDATE BODY.PEEK[]<0.{MAX_BYTES}>)")
                to.extend(_messages(answer))

            if one_by_one([some], fetch, named=_unnamed, stops=_is_lost).failures:
                fetched.clear()
                alone = one_by_one([[uid] for uid in some], fetch, named=_unnamed, stops=_is_lost)
                # what cannot be fetched is set aside unread
                fetched.extend(_Fetched(failure.thing[0], _UNDATED, b"") for failure in alone.failures)
            yield from fetched

    def _search(self, *criteria: str) -> list[str]:
        lines = self._uid("SEARCH", *criteria)
        return [uid.decode() for line in lines if isinstance(line, bytes) for uid in line.split()]

    def _expunge(self, uids: Sequence[str]) -> None:
        for start in range(0, len(uids), 1_000):
            some = ",".join(uids[start : start + 1_000])
            self._uid("STORE", some, "+FLAGS.SILENT", r"(\Deleted)")
            self._uid("EXPUNGE", some)

    def _select(self, folder: str) -> None:
        if self._selected == folder:
            return
        status, told = self._client.select(_quoted(folder))
        if status != "OK":
            raise SetupError(
                f"There is no way into {self.place}: {_said(told)}. Name an existing folder in "
                "REKU_BOUNCE_IMAP_FOLDER that REKU_BOUNCE_IMAP_USER may write to."
            )
        self._selected, self._waiting_now = folder, int(told[0] or 0)

    def _uid(self, command: str, *arguments: str) -> list[Any]:
        self._client.expect_answer()
        status, told = self._client.uid(command, *arguments)
        if status != "OK":
            raise SetupError(
                f"The server refuses {command} in {self.place}: {_said(told)}. Nothing is lost: what was recorded is "
                "recorded, the other mails lie where they were. Check quota and permissions of the account."
            )
        return list(told)

    def _messages(self, folder: str) -> int:
        status, told = self._client.status(_quoted(folder), "(MESSAGES)")
        number = re.search(rb"MESSAGES (\d+)\)\s*$", told[0] or b"") if status == "OK" else None
        return int(number[1]) if number else 0

    def _delimiter(self) -> str:
        """What separates folder names on this server; empty where folders have no folders."""
        _, told = self._client.list('""', '""')
        match = _DELIMITER.match(told[0]) if told and isinstance(told[0], bytes) else None
        return match[1].decode() if match and match[1] else ""

    def _prepare(self) -> None:
        if "UIDPLUS" not in self._abilities:
            raise SetupError(
                f"The server of {self.place} knows no UIDPLUS (RFC 4315), without which single mails cannot be filed "
                "away safely. Have the return mailbox delivered as Maildir (REKU_BOUNCE_MAILDIR), or on another server."
            )
        self._select(self._folder)
        for folder in self._boxes.values():
            if self._client.status(_quoted(folder), "(MESSAGES)")[0] == "OK":
                continue
            _, told = self._client.create(_quoted(folder))
            if self._client.status(_quoted(folder), "(MESSAGES)")[0] != "OK":
                raise SetupError(
                    f"The folder {folder} is missing in {self.place}, and the server does not let us make it: "
                    f"{_said(told)}. Make it by hand; no mail is lost."
                )
            self._client.subscribe(_quoted(folder))  # so that mail programs show it


def _unnamed(_mails: object) -> str:
    return "mails of the IMAP server"


def _is_lost(error: Exception) -> bool:
    """Whether the session is over: then no other mail can be fetched either."""
    return isinstance(error, OSError | imaplib.IMAP4.abort)


def _connected(s: Settings) -> BoundedImap:
    host, port = s.bounce_imap_host, s.bounce_imap_port
    seconds = s.collect_seconds + FILING_SECONDS
    trusted = ssl.create_default_context()
    if s.bounce_imap_tls == "on":
        return BoundedImapTls(host, port, seconds=seconds, ssl_context=trusted, timeout=TIMEOUT_SECONDS)
    if s.bounce_imap_tls == "off" and host not in _LOOPBACK:
        raise SetupError(
            f"REKU_BOUNCE_IMAP_TLS is off for {host}: the password and people's mails would go over the network in "
            "clear. Set it to on (port 993) or starttls (port 143); off is for a server on this machine."
        )
    client = BoundedImap(host, port, seconds=seconds, timeout=TIMEOUT_SECONDS)
    if s.bounce_imap_tls == "starttls":
        if "STARTTLS" not in client.capabilities:
            client.shutdown()
            raise SetupError(
                f"The IMAP server {host}:{port} offers no STARTTLS. Set REKU_BOUNCE_IMAP_TLS to on and "
                "REKU_BOUNCE_IMAP_PORT to its TLS port, usually 993."
            )
        client.starttls(trusted)
    return client


def _log_in(client: BoundedImap, s: Settings) -> None:
    user, password = s.bounce_imap_user, s.bounce_imap_password.get_secret_value()
    try:
        if "AUTH=PLAIN" in client.capabilities:
            client.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())
        else:
            client.login(user, password)
    except imaplib.IMAP4.abort:
        raise
    except (imaplib.IMAP4.error, UnicodeEncodeError):
        raise SetupError(
            f"The IMAP server {s.bounce_imap_host} does not let us in as {user!r}. Check REKU_BOUNCE_IMAP_USER and "
            "REKU_BOUNCE_IMAP_PASSWORD, and whether the server allows this login (some want an app password, some "
            "OAuth only). No mail is lost."
        ) from None


@contextmanager
def _plain_errors(place: str) -> Iterator[None]:
    """Everything the network and the server may do to us, in plain words."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise SetupError(
            f"Nobody we trust vouches for the certificate at {place}: {error.verify_message}. Have the server show one "
            "for the name in REKU_BOUNCE_IMAP_HOST, or name your own authority's file in SSL_CERT_FILE."
        ) from error
    except ssl.SSLError as error:
        raise SetupError(
            f"There is no TLS at {place} ({error.reason}). Set REKU_BOUNCE_IMAP_PORT to its TLS port, usually 993, or "
            "REKU_BOUNCE_IMAP_TLS to starttls."
        ) from error
    except (OSError, imaplib.IMAP4.error) as error:
        said = getattr(error, "strerror", None) or _said(error.args) or type(error).__name__
        raise PassingError(
            f"The connection to {place} failed ({said}). Nothing is lost: what was recorded is recorded, the other "
            "mails lie where they were; the next try goes on. If it lasts, check REKU_BOUNCE_IMAP_HOST and _PORT."
        ) from error


def _messages(answer: Iterable[Any]) -> Iterator[_Fetched]:
    """The mails of a FETCH answer: imaplib gives (head, literal) and the rest of each, and whatever came in between.

    A text may also come as a quoted string, as `""` of an empty mail does: imaplib gives that as one line, which begins
    like a head. Every mail must come out of here, or it would wait for ever.
    """
    head: bytes = b""
    data: bytes | None = None
    for item in (*answer, None):
        if isinstance(item, bytes) and not _NEXT.match(item):
            head += b" " + item
            continue
        if data is None and (quoted := _QUOTED_TEXT.search(head)):
            data = re.sub(rb"\\(.)", rb"\1", quoted[1] or b"")
            head = head[: quoted.start()] + head[quoted.end() :]
        if data is not None and (uid := _UID.search(head)):
            yield _Fetched(uid[1].decode(), _arrived(head), data)
        head, data = (item, None) if isinstance(item, bytes) else item or (b"", None)


def _arrived(head: bytes) -> date:
    match = _ARRIVED.search(head)
    try:
        return date(int(match[3]), _MONTHS.index(match[2].decode().title()) + 1, int(match[1])) if match else _UNDATED
    except ValueError:
        return _UNDATED


def _day(name: str) -> date | None:
    """The day in a mail's name; None for a name that another kind of mailbox gave."""
    day, _, digits = name.partition(".")
    try:
        return date.fromisoformat(day) if len(digits) == 40 else None
    except ValueError:
        return None


def _shown(day: date) -> str:
    return f"{day.day}-{_MONTHS[day.month - 1]}-{day.year}"


def _quoted(folder: str) -> str:
    return '"' + folder.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _said(told: Iterable[Any]) -> str:
    """What the server said, shortened."""
    return " ".join(one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in told if one)[:200]
