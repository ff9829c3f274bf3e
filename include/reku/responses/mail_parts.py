"""A mail of the return mailbox taken apart: bounded in every dimension that costs time, whatever its bytes spell.

The parser's time grows with lines times nesting, and with the square of a header field. So lines, fields and their
number are cut to what honest mails need, and a mail of more parts or a deeper nesting than any mail system makes is
refused while it is being parsed, by what the parser has found and not by how the bytes spell it.
"""

from __future__ import annotations

import binascii
import codecs
import email.policy
import quopri
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from email.feedparser import BytesFeedParser
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import Policy
from functools import cached_property
from html import unescape

MAX_PARTS = 60
MAX_DEPTH = 12
MAX_FIELDS = 400
_MAX_LINES = 5_000
_MAX_LINE = 1_000
_MAX_CONTINUED = 30
_MAX_TEXT = 20_000
_MAX_HTML = 60_000
_HEAD = 64 * 1024

_CONTINUED = re.compile(rb"((?:\n[ \t][^\n]*){%d})(?:\n[ \t][^\n]*)+" % _MAX_CONTINUED)
_BOUNDARY = re.compile(rb"^--([^\s\"][^\n\"]{0,69})\n(?=content-)", re.IGNORECASE | re.MULTILINE)
_TAG_NAME = re.compile(r"</?([a-z]+\d?)", re.IGNORECASE)
_UNSEEN = ("style", "script", "head", "title")
_BREAKS = ("br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "hr", "table", "pre")
_LOWER = {ord(char): char.lower() for char in string.ascii_uppercase}
_ATTACHED_HEADERS = ("text/rfc822-headers", "text/rfc822-header", "message/global-headers")


class TooMuch(Exception):
    """The mail is made of more than any mail system makes. The text says of what."""


@dataclass(frozen=True)
class Part:
    """A part and its content type in lower case."""

    kind: str
    message: Message

    @property
    def is_leaf(self) -> bool:
        """Whether it has contents of its own: a multipart whose boundary does not occur has."""
        return isinstance(self.message.get_payload(), str)

    @cached_property
    def text(self) -> str:
        """Its contents as text, whatever the parser made of it, decoded by transfer encoding and charset."""
        return _text(self.message)


class ParsedMail:
    """A mail as a tree of parts; `head` is its header. Raises TooMuch; a damaged mail gives what can be made of it."""

    def __init__(self, data: bytes) -> None:
        self.head = _parsed(tamed(data))
        self.parts = list(_parts_of(self.head))
        if self.parts[0].kind.startswith("multipart/") and self.parts[0].is_leaf:
            self.parts = _parts_behind_another_boundary(self.head) or self.parts

    def first(self, *kinds: str) -> Part | None:
        """The first part of one of these content types."""
        return next((part for part in self.parts if part.kind in kinds), None)

    @cached_property
    def attached(self) -> Message | None:
        """The mail that is attached, or as much of its header as was sent along (RFC 6522); None if there is none."""
        for part in self.parts:
            payload = part.message.get_payload()
            if part.kind in ("message/rfc822", "message/global") and isinstance(payload, list) and payload:
                attached = payload[0]
                return attached if isinstance(attached, Message) else None
            if part.kind in _ATTACHED_HEADERS:
                return head_of(part.text.encode("utf-8", "replace"))
        return None

    @cached_property
    def subject(self) -> str:
        """The subject as people read it."""
        return readable(str(self.head.get("Subject", "")))

    @cached_property
    def text(self) -> str:
        """What the mail says to people: its first text that is not empty, plain rather than HTML."""
        texts = [part for part in self.parts if part.kind.startswith(("text/", "multipart/")) and part.is_leaf]
        for part in texts:
            if part.kind != "text/html" and (text := part.text.strip()):
                return text[:_MAX_TEXT]
        for part in texts:
            if part.kind == "text/html" and (text := _without_tags(part.text[:_MAX_HTML]).strip()):
                return text[:_MAX_TEXT]
        return ""


def head_of(data: bytes) -> Message:
    """The header alone, for a mail that is not to be parsed as a whole."""
    return BytesHeaderParser().parsebytes(tamed(data[:_HEAD]))


def fields(mail: Message, *names: str) -> list[str]:
    """The values of all these header fields, in this order."""
    return [str(value) for name in names for value in mail.get_all(name, [])]


def readable(value: str) -> str:
    """A header field's value as people read it: encoded words decoded, on one line, never an exception."""
    try:
        parts = decode_header(value) if "=?" in value else [(value, None)]
        text = "".join(part if isinstance(part, str) else _decoded(part, charset or "ascii") for part, charset in parts)
    except (LookupError, ValueError, binascii.Error):
        text = value
    return " ".join(text.split())


def tamed(data: bytes) -> bytes:
    """The mail with `\\n` at line ends; lines, header fields and their number cut to what honest mails need.

    RFC 5322 section 2.1.1: a line has at most 998 characters.
    """
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
        if b"\n" not in data[:_HEAD]:
            data = data.replace(b"\r", b"\n")
    lines = data.split(b"\n", _MAX_LINES)[:_MAX_LINES]
    if max(map(len, lines)) > _MAX_LINE:
        lines = [line[:_MAX_LINE] for line in lines]
    data = b"\n".join(lines)
    if data.count(b"\n ") + data.count(b"\n\t") > _MAX_CONTINUED:
        return _CONTINUED.sub(rb"\1", data)
    return data


def _parsed(data: bytes) -> Message:
    made = 0

    def part(policy: Policy) -> Message:
        nonlocal made
        made += 1
        if made > MAX_PARTS:
            raise TooMuch(f"more than {MAX_PARTS} parts")
        return Message(policy=policy)

    parser = BytesFeedParser(_factory=part, policy=email.policy.compat32)  # type: ignore[arg-type]  # typeshed: no policy
    parser.feed(data)
    mail: Message = parser.close()
    _check_shape(mail, 0)
    return mail


def _check_shape(part: Message, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise TooMuch(f"nested deeper than {MAX_DEPTH} parts")
    if len(part) > MAX_FIELDS:
        raise TooMuch(f"more than {MAX_FIELDS} header fields")
    payload = part.get_payload()
    if isinstance(payload, list):
        for child in payload:
            _check_shape(child, depth + 1)  # type: ignore[arg-type]  # compat32: a list holds messages only


def _parts_of(mail: Message) -> Iterator[Part]:
    """All parts, but none of a mail that is attached: a report about a report is not about us."""
    kind = mail.get_content_type()
    yield Part(kind, mail)
    payload = mail.get_payload()
    if kind.startswith("multipart/") and isinstance(payload, list):
        for part in payload:
            if isinstance(part, Message):
                yield from _parts_of(part)


def _parts_behind_another_boundary(mail: Message) -> list[Part]:
    """The parts of a multipart whose boundary does not occur, but another one does."""
    body = _contents(mail)
    boundary = _BOUNDARY.search(body)
    if not boundary:
        return []
    head = b'Content-Type: multipart/mixed; boundary="%b"\n\n' % boundary[1].replace(b'"', b"")
    return list(_parts_of(_parsed(head + body)))


def _contents(part: Message) -> bytes:
    """What stands below the header, byte by byte as far as the parser kept it."""
    payload = part.get_payload()
    if isinstance(payload, list):
        return b"\n\n".join(_reassembled(block) for block in payload if isinstance(block, Message))
    kept = part.get_payload(decode=True)
    return kept if isinstance(kept, bytes) else b""


def _text(part: Message) -> str:
    data = _contents(part)
    if not part.is_multipart():
        return _decoded(data, str(part.get_content_charset("utf-8"))).lstrip("\n")
    encoding = str(part.get("Content-Transfer-Encoding", "")).strip().casefold()
    if encoding == "base64":
        data = _unbase64(data)
    elif encoding == "quoted-printable":
        data = quopri.decodestring(data)
    return _decoded(data, str(part.get_content_charset("utf-8"))).lstrip("\n")


def _reassembled(block: Message) -> bytes:
    """A block of fields as it was: what is no field to the parser (`Action : failed`) begins its contents."""
    head = "".join(f"{name}: {value}\n" for name, value in block.raw_items())
    return head.encode("utf-8", "surrogateescape") + _contents(block)


def _unbase64(data: bytes) -> bytes:
    """As much as can be decoded."""
    kept = re.sub(rb"[^A-Za-z0-9+/]", b"", data.partition(b"=")[0])
    kept = kept[: len(kept) - (len(kept) % 4 == 1)]
    return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))


def _decoded(data: bytes, charset: str) -> str:
    """By the charset that is named, where it can be; UTF-16 is recognised, and else UTF-8 or Latin-9 is taken."""
    begin = data[:40]
    if begin[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        charset = "utf-16"
    elif b"\0" in begin:
        zeros = begin[1::2].count(0) - begin[::2].count(0)
        charset = "utf-16-le" if zeros > 0 else "utf-16-be" if zeros < 0 else charset
    for name in (charset, "utf-8"):
        try:
            return data.decode(name)
        except (LookupError, ValueError):
            continue
    return data.decode("iso-8859-15")


def _without_tags(html: str) -> str:
    """The text of HTML, in one pass over it: a parser of HTML would take its time over what is none."""
    kept, at, lower = [], 0, html.translate(_LOWER)
    while (start := html.find("<", at)) >= 0:
        kept.append(html[at:start])
        end = html.find(">", start)
        if end < 0:
            break
        tag = _TAG_NAME.match(html, start)
        name = tag[1].lower() if tag else ""
        if name in _UNSEEN and html[start + 1] != "/":
            closing = lower.find(f"</{name}", end)
            end = html.find(">", closing) if closing >= 0 else end
            if end < 0:
                break
        kept.append("\n" if name in _BREAKS else " ")
        at = end + 1
    else:
        kept.append(html[at:])
    return unescape("".join(kept))
