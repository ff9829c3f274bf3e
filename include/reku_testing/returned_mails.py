"""Returned mails that are made: a server's answer × the form of a mail system × a fault of grammar × an encoding.

The answers stand in `server_replies.yaml`, each with the class that is right and why. Each is put into forms that mail
systems write, and each form is damaged in the ways that are met with. People and addresses are invented.
"""

from __future__ import annotations

import base64
import email
import logging
import os
import quopri
import secrets
import sys
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

import yaml
from flufl.bounce import all_failures

from reku.catalogue.bounce_rules import BounceClass
from reku.foundation.tokens import Purpose, Target, make
from reku.responses.reports import understand
from reku.store.kinds import ReportKind

REPLIES = Path(__file__).parent / "server_replies.yaml"
BEGIN, END = "<!-- made mails: begin -->", "<!-- made mails: end -->"

_FIRST_NAMES = ("erika", "jördis", "max", "aylin", "björn", "zoë", "karl-heinz", "o.maria")
_LAST_NAMES = ("muster", "nölting", "beispiel", "yıldız", "testmann", "groß", "ohnesorg")


@dataclass(frozen=True)
class Reply:
    """What a server answered. `status`: of the report itself, "" for none; `kind`: what is wrong, with its class."""

    kind: str
    bounce_class: str
    why: str
    status: str
    text: str

    @property
    def is_dead(self) -> bool:
        """Whether the recipient's address is what is wrong."""
        return self.bounce_class == "HARD"


@dataclass(frozen=True)
class MadeMail:
    """A returned mail about message `number`; `name` says what it was made of."""

    name: str
    number: int
    reply: Reply
    recipient: str
    data: bytes


@cache
def replies() -> tuple[Reply, ...]:
    """All answers of `server_replies.yaml`."""
    groups = yaml.safe_load(REPLIES.read_text(encoding="utf-8"))
    return tuple(
        Reply(group["kind"], group["class"], group["why"], status, text)
        for group in groups
        for status, text in group["replies"]
    )


@dataclass(frozen=True)
class _Facts:
    """What a form is filled with."""

    reply: Reply
    to: str
    recipient: str
    said: str
    ours: str

    @property
    def status(self) -> str:
        return self.reply.status or "5.0.0"


Form = Callable[[_Facts], str]
Fault = Callable[[str], bytes]


# ---------------------------------------------------------------------------------------------------------- reports


def _report(facts: _Facts, fields: str, *, notice: str = "Your message could not be delivered.", head: str = "") -> str:
    return (
        f"From: MAILER-DAEMON@mx.example (Mail Delivery System)\nTo: {facts.to}\n"
        f"Subject: Undelivered Mail Returned to Sender\n{head}MIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="=_grenze"\n\n'
        f"--=_grenze\nContent-Type: text/plain; charset=utf-8\n\n{notice}\n"
        f"--=_grenze\nContent-Type: message/delivery-status\n\n{fields}\n"
        f"--=_grenze\nContent-Type: message/rfc822\n\n{facts.ours}\n--=_grenze--\n"
    )


def _group(facts: _Facts) -> str:
    return (
        f"Final-Recipient: rfc822; {facts.recipient}\nOriginal-Recipient: rfc822;{facts.recipient}\nAction: failed\n"
        f"Status: {facts.status}\nDiagnostic-Code: smtp; {_folded(facts.said)}\n"
    )


def _folded(said: str) -> str:
    return "\n    ".join(said.split("\n"))


def _postfix(facts: _Facts) -> str:
    notice = (
        "This is the mail system at host mx.example.\n\nI'm sorry to have to inform you that your message could not\n"
        f"be delivered to one or more recipients. It's attached below.\n\n<{facts.recipient}>: host mx.kunde.example"
        f"[192.0.2.7] said:\n{textwrap.fill(facts.said, 72, initial_indent='    ', subsequent_indent='    ')}"
    )
    return _report(facts, f"Reporting-MTA: dns; mx.example\n\n{_group(facts)}", notice=notice)


def _automatic(facts: _Facts) -> str:
    return _report(facts, f"Reporting-MTA: dns; mx.example\n\n{_group(facts)}", head="Auto-Submitted: auto-replied\n")


def _exchange(facts: _Facts) -> str:
    notice = (
        f"Delivery has failed to these recipients or groups:\n\n{facts.recipient}\n\nRemote Server returned an error."
    )
    head = "X-MS-Exchange-Message-Is-Ndr:\nContent-Language: de-DE\n"
    fields = (
        f"Reporting-MTA: dns;exch.kunde.example\n\n{_group(facts)}Remote-MTA: dns;mx.kunde.example\nX-Display-Name: E\n"
    )
    return _report(facts, fields, notice=notice, head=head)


def _words_only_in_text(facts: _Facts) -> str:
    fields = f"Reporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; {facts.recipient}\nAction: failed\n"
    return _report(
        facts, f"{fields}Status: 5.0.0\n", notice=f"Nicht zugestellt:\n\n  {facts.recipient}\n    {facts.said}"
    )


def _blank_before_colon(facts: _Facts) -> str:
    return _report(facts, f"Reporting-MTA : dns; mx.example\n\n{_group(facts).replace(': ', ' : ')}")


def _recipient_last(facts: _Facts) -> str:
    fields = f"Action: failed\nStatus: {facts.status}\nDiagnostic-Code: smtp;{_folded(facts.said)}\n"
    return _report(facts, f"Reporting-MTA: dns; mx.example\n\n{fields}Final-Recipient: rfc822;{facts.recipient}\n")


def _unfolded(facts: _Facts) -> str:
    return _report(facts, f"Reporting-MTA: dns; mx.example\n\n{_group(facts)}".replace("\n    ", "\n"))


def _no_action(facts: _Facts) -> str:
    return _report(facts, f"Reporting-MTA: dns; mx.example\n\n{_group(facts)}".replace("Action: failed\n", ""))


def _no_status(facts: _Facts) -> str:
    told = (
        f"Diagnostic-Code: smtp; {_folded(f'550 {facts.status} ' + facts.said if facts.reply.status else facts.said)}"
    )
    return _report(facts, f"Reporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; {facts.recipient}\n{told}\n")


def _no_blank_line(facts: _Facts) -> str:
    return _report(
        facts, f"Reporting-MTA: dns; mx.example\nArrival-Date: Tue, 24 Nov 2026 09:00:41 +0100\n{_group(facts)}"
    )


def _blank_lines_within(facts: _Facts) -> str:
    return _report(facts, f"\nReporting-MTA: dns; mx.example\n\n\n{_group(facts)}".replace("\nStatus", "\n\nStatus"))


def _comment_in_status(facts: _Facts) -> str:
    fields = _group(facts).replace(f"Status: {facts.status}", f"Status: {facts.status} (see below)")
    return _report(
        facts, f"Reporting-MTA: dns; mx.example\n\n{fields}".replace("Action: failed", "Action: Failed (final)")
    )


def _odd_capitals(facts: _Facts) -> str:
    fields = _group(facts).replace("Diagnostic-Code", "diagnostic-code").replace("Status", "STATUS")
    return _report(facts, f"REPORTING-MTA: DNS; MX.EXAMPLE\n\n{fields}")


def _two_status_parts(facts: _Facts) -> str:
    empty = "Reporting-MTA: dns; gateway.example\n\n--=_grenze\nContent-Type: message/delivery-status\n\n"
    return _report(facts, f"{empty}Reporting-MTA: dns; mx.example\n\n{_group(facts)}")


def _forwarded_elsewhere_too(facts: _Facts) -> str:
    other = f"Final-Recipient: rfc822; weiter@andere.example\nAction: failed\nStatus: 4.2.2\n\n{_group(facts)}"
    return _report(facts, f"Reporting-MTA: dns; mx.example\n\n{other}")


def _another_content_type(facts: _Facts) -> str:
    fields = f"Reporting-MTA: dns; mx.example\n\n{_group(facts)}"
    return _report(facts, fields).replace("message/delivery-status", 'application/octet-stream; name="details.txt"')


def _as_attached_text(facts: _Facts) -> str:
    fields = f"Reporting-MTA: dns; mx.example\n\n{_group(facts)}"
    return _report(facts, fields).replace("message/delivery-status", "text/plain; name=ATT00001.txt")


def _utf8_report(facts: _Facts) -> str:
    fields = f"Reporting-MTA: dns; mx.example\n\n{_group(facts)}".replace("rfc822", "utf-8")
    return _report(facts, fields).replace("message/delivery-status", "message/global-delivery-status")


# -------------------------------------------------------------------------------------------- bounces for people only


def _plain(facts: _Facts, subject: str, text: str, *, sender: str = "MAILER-DAEMON@mx.example", head: str = "") -> str:
    return f"From: {sender}\nTo: {facts.to}\nSubject: {subject}\n{head}\n{text}"


def _qmail(facts: _Facts) -> str:
    text = (
        "Hi. This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to deliver your message to the "
        "following addresses.\nThis is a permanent error; I've given up. Sorry it didn't work out.\n\n"
        f"<{facts.recipient}>:\n192.0.2.99 does not like recipient.\nRemote host said: {facts.said}\n"
        f"Giving up on 192.0.2.99.\n\n--- Below this line is a copy of the message.\n\n{facts.ours}"
    )
    return _plain(facts, "failure notice", text)


def _exim(facts: _Facts) -> str:
    text = (
        "This message was created automatically by mail delivery software.\n\nA message that you sent could not be "
        "delivered to one or more of its\nrecipients. This is a permanent error. The following address(es) failed:\n\n"
        f"  {facts.recipient}\n    SMTP error from remote mail server after RCPT TO:<{facts.recipient}>:\n"
        f"    host mx.kunde.example [192.0.2.7]: {_folded(facts.said)}\n\n"
        f"------ This is a copy of the message, including all the headers. ------\n\n{facts.ours}"
    )
    head = f"X-Failed-Recipients: {facts.recipient}\nAuto-Submitted: auto-replied\n"
    sender = "Mail Delivery System <Mailer-Daemon@mx.example>"
    return _plain(facts, "Mail delivery failed: returning message to sender", text, sender=sender, head=head)


def _sendmail(facts: _Facts) -> str:
    text = (
        "The original message was received at Tue, 24 Nov 2026 09:00:41 +0100\n\n"
        f"   ----- The following addresses had permanent fatal errors -----\n<{facts.recipient}>\n"
        f"    (reason: {_folded(facts.said)})\n\n   ----- Transcript of session follows -----\n"
        f"... while talking to mx.kunde.example.:\n>>> RCPT To:<{facts.recipient}>\n<<< {_folded(facts.said)}\n\n"
        f"   ----- Original message follows -----\n\n{facts.ours}"
    )
    return _plain(
        facts, "Returned mail: see transcript for details", text, sender="Mail Delivery Subsystem <MAILER-DAEMON>"
    )


def _hoster(facts: _Facts) -> str:
    text = (
        "Die Nachricht erreichte diese Adresse nicht und wird nicht mehr versucht:\n\n"
        f"{facts.recipient}:\nhost mx.kunde.example (192.0.2.1) answered RCPT TO with: {facts.said}\n\n"
        f"--- Kopf der Nachricht ---\n\n{facts.ours}"
    )
    sender, head = '"Postamt" <mailer-daemon@hoster.example>', "Auto-Submitted: auto-replied\n"
    return _plain(facts, "Zustellung gescheitert", text, sender=sender, head=head)


def _null_sender(facts: _Facts) -> str:
    text = f"Ihre Nachricht an {facts.recipient} wurde nicht zugestellt:\n\n{facts.said}\n"
    return "Return-Path: <>\n" + _plain(facts, "Ihre E-Mail", text, sender="antwort@hoster.example")


def _html(facts: _Facts) -> str:
    text = (
        "<html><head><style>p {color: red}</style></head><body><p>Your message wasn&#39;t delivered to "
        f"<b>{facts.recipient}</b>.</p><p>The response from the remote server was:<br>\n"
        f"{facts.said.replace('<', '&lt;')}</p></body></html>\n"
    )
    head = "MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n"
    return _plain(facts, "Delivery Status Notification (Failure)", text, sender="postmaster@mx.example", head=head)


def _groupwise(facts: _Facts) -> str:
    text = f"The message that you sent was undeliverable to the following:\n\t{facts.recipient} ({facts.said})\n"
    return _plain(facts, "Message status - undeliverable", text, sender="Mailer-Daemon@gw.kunde.example")


FORMS: tuple[Form, ...] = (
    _postfix, _qmail, _blank_before_colon, _exim, _exchange, _hoster, _unfolded, _words_only_in_text, _sendmail,
    _no_blank_line, _html, _recipient_last, _null_sender, _two_status_parts, _no_status, _groupwise, _utf8_report,
    _blank_lines_within, _another_content_type, _comment_in_status, _automatic, _as_attached_text, _odd_capitals,
    _forwarded_elsewhere_too, _no_action,
)  # fmt: skip


# ------------------------------------------------------------------------------------------ faults and encodings


def _as_it_is(mail: str) -> bytes:
    return mail.encode()


def _crlf(mail: str) -> bytes:
    return mail.replace("\n", "\r\n").encode()


def _cr_only(mail: str) -> bytes:
    return mail.replace("\n", "\r").encode()


def _raw_8bit_header(mail: str) -> bytes:
    return b"X-Absender: Zustelldienst f\xfcr Post\nComment: \xdcbermittlung\n" + mail.encode("utf-8")


def _latin_1(mail: str) -> bytes:
    try:
        return mail.replace("charset=utf-8", "charset=iso-8859-15").encode("iso-8859-15")
    except UnicodeEncodeError:
        return mail.encode()  # an answer in letters that it lacks


def _unknown_charset(mail: str) -> bytes:
    return mail.replace("charset=utf-8", "charset=klingon").encode()


def _no_closing_boundary(mail: str) -> bytes:
    return mail.replace("--=_grenze--\n", "").encode()


def _another_boundary(mail: str) -> bytes:
    return mail.replace('boundary="=_grenze"', 'boundary="=_andere"').encode()


def _broken_encoded_words(mail: str) -> bytes:
    return mail.replace("Subject: ", "Subject: =?utf-8?q?=C3?= =?klingon?b?AA?= =?utf-8?b?!!!!?= ", 1).encode()


def _encoded(mail: str, encoding: str, encode: Callable[[bytes], bytes], charset: str = "utf-8") -> bytes:
    """With the body, or the two parts that a report is made of, in a transfer encoding."""
    head, _, body = mail.partition("\n\n")
    field = f"Content-Transfer-Encoding: {encoding}\n"
    if "multipart" not in head:
        head = head.replace("charset=utf-8", f"charset={charset}")
        kind = "" if "Content-Type" in head else f"Content-Type: text/plain; charset={charset}\n"
        return f"{head}\n{kind}{field}\n".encode() + encode(body.encode(charset))
    parts = body.split("--=_grenze")
    for place in range(1, len(parts) - 2):
        part_head, _, contents = parts[place].partition("\n\n")
        kind = part_head.replace("charset=utf-8", f"charset={charset}").rstrip("\n")
        if charset != "utf-8" and "charset" not in kind:
            kind += f"; charset={charset}"
        parts[place] = f"{kind}\n{field}\n{encode(contents.encode(charset)).decode('ascii')}\n"
    return f"{head}\n\n{'--=_grenze'.join(parts)}".encode()


def _base64(mail: str) -> bytes:
    return _encoded(mail, "base64", base64.encodebytes)


def _quoted_printable(mail: str) -> bytes:
    return _encoded(mail, "quoted-printable", quopri.encodestring)


def _utf_16(mail: str) -> bytes:
    return _encoded(mail, "base64", base64.encodebytes, "utf-16")


FAULTS: tuple[Fault, ...] = (
    _as_it_is, _crlf, _base64, _raw_8bit_header, _no_closing_boundary, _quoted_printable, _cr_only, _utf_16, _latin_1,
    _unknown_charset, _another_boundary, _broken_encoded_words,
)  # fmt: skip

_WITHOUT: dict[Form, tuple[Fault, ...]] = {
    _another_content_type: (_another_boundary,),
    _as_attached_text: (_another_boundary,),
}
"""What no reader could put together again: a hidden status part behind a boundary that does not occur."""


def made_mails(times: int = 2) -> Iterator[MadeMail]:
    """So many mails of each answer, each in another form and with another fault; tokens are valid in this process."""
    number = 0
    for place, reply in enumerate(replies()):
        for form, fault in islice(_pairs(place * times), times):
            number += 1
            yield _made(number, reply, form, fault)


def _pairs(start: int) -> Iterator[tuple[Form, Fault]]:
    """Forms and faults by turns: their numbers have no factor in common, so all pairs come."""
    at = start
    while True:
        form, fault = FORMS[at % len(FORMS)], FAULTS[at % len(FAULTS)]
        if fault not in _WITHOUT.get(form, ()):
            yield form, fault
        at += 1


def _made(number: int, reply: Reply, form: Form, fault: Fault) -> MadeMail:
    name = f"{_FIRST_NAMES[number % len(_FIRST_NAMES)]}.{_LAST_NAMES[number % len(_LAST_NAMES)]}{number}"
    recipient = f"{name.encode('ascii', 'ignore').decode()}@kunde.example"
    sender = f"b+{make(Purpose.BOUNCE, Target(number))}@bounce.example"
    said = reply.text.replace("{recipient}", recipient).replace("{sender}", sender)
    ours = (
        f"Return-Path: <{sender}>\nReceived: from reku.bank.example by mx.example; Tue, 24 Nov 2026 09:00:41 +0100\n"
        f"From: Sparkasse Musterstadt <post@bank.example>\nTo: {recipient}\nSubject: Alles Gute\n"
        "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\nGuten Tag,\nfalls diese Nachricht "
        "unzustellbar ist (550 5.1.1 user unknown, mailbox full), bekommen Sie Post.\n"
    )
    what = f"{reply.kind}, {form.__name__.strip('_')}, {fault.__name__.strip('_')}"
    return MadeMail(
        f"{number:04} {what}", number, reply, recipient, fault(form(_Facts(reply, sender, recipient, said, ours)))
    )


# ------------------------------------------------------------------------------------------ held against flufl.bounce


def compared() -> list[str]:
    """The lines of the table in docs/responses.md: what we and flufl.bounce make of the mails, by kind of answer."""
    logging.getLogger("flufl.bounce").disabled = True  # it logs a traceback for each mail that it cannot read
    counted: dict[str, list[int]] = defaultdict(lambda: [0] * 5)
    for mail in made_mails():
        found = understand(mail.data)
        is_bounce = found.kind is ReportKind.BOUNCE and found.message == mail.number
        permanent = _permanent(mail.data)
        row = counted[f"{mail.reply.kind}: {mail.reply.why}"]
        told = (is_bounce, is_bounce and found.bounce.bounce_class is BounceClass.HARD, bool(permanent))
        for place, one in enumerate((True, *told, permanent == {mail.recipient.encode()})):
            row[place] += one
    head = "| answer | mails | a bounce of its message | HARD | flufl.bounce: permanent | and of the right person |"
    rows = [f"| {kind} | {' | '.join(map(str, row))} |" for kind, row in counted.items()]
    return [head, "| --- | --- | --- | --- | --- | --- |", *rows]


def _permanent(data: bytes) -> set[bytes]:
    try:
        return set(all_failures(email.message_from_bytes(data))[1])
    except Exception:  # noqa: BLE001 # what it raises for damaged mails is not told anywhere
        return set()


def _write_into(page: Path) -> None:
    before, mark, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{mark}\n" + "\n".join(compared()) + f"\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    os.environ["REKU_TOKEN_KEYS"] = secrets.token_hex(32)
    _write_into(Path(sys.argv[1]))
