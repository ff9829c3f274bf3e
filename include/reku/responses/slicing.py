"""The parts of a mail that matter, cut out of its bytes: parsing a whole mail takes several times as long.

Everything here either answers exactly as the standard library's parser would, or says None: then the whole mail has to
be parsed. What decides is the shape of nearly every delivery report: one multipart, no other inside.
"""

from __future__ import annotations

import email
import email.parser
import re
from email.message import Message

_HEAD_END = re.compile(rb"\n\r?\n")
_OF_INTEREST = re.compile(rb"multipart/|delivery-status|disposition-notification", re.IGNORECASE)
_REPORTS = re.compile(rb"delivery-status|disposition-notification", re.IGNORECASE)


def head(data: bytes) -> tuple[Message, bytes] | None:
    """The mail's header fields and its unparsed body; None where they are not cleanly parted."""
    if data.count(b"\r") != data.count(b"\r\n"):
        return None  # a lone carriage return ends a line as well, as the parser sees it
    end = _HEAD_END.search(data)
    if end is None:
        return None
    fields = email.parser.BytesHeaderParser().parsebytes(data[: end.end()])
    if fields.defects or fields.get_payload() or data.startswith((b"\n", b"\r\n", b"From ")):
        return None  # the header ended before the blank line
    return fields, data[end.end() :]


def report_part(fields: Message, body: bytes) -> Message | None:
    """The delivery-status part of a plain report (RFC 3464), parsed."""
    boundary = fields.get_boundary() if fields.get_content_maintype() == "multipart" else None
    if not boundary:
        return None
    parts = _parts(body, boundary.encode("ascii", "surrogateescape"))
    types = [_content_type(part) for part in parts]
    if any(_hides_a_report(kind, part) for kind, part in zip(types, parts, strict=True)):
        return None
    for kind in ("message/delivery-status", "message/global-delivery-status"):
        if kind in types:
            return email.message_from_bytes(parts[types.index(kind)])
    return None


def _hides_a_report(kind: str, part: bytes) -> bool:
    """Whether what the parser would come upon first may be inside a nested multipart, or is a read receipt."""
    nested = kind.startswith("multipart/") and _REPORTS.search(part) is not None
    return nested or kind == "message/disposition-notification"


def _parts(body: bytes, boundary: bytes) -> list[bytes]:
    """What stands between the boundary lines (RFC 2046 section 5.1.1), up to the closing one or the end.

    Nothing where two such lines follow each other, which the parser takes for one.
    """
    line = re.compile(rb"^--" + re.escape(boundary) + rb"(--)?[ \t]*\r?$\n?", re.MULTILINE)
    found = list(line.finditer(body))
    parts = []
    for mark, following in zip(found, [*found[1:], None], strict=True):
        if mark[1]:
            break
        if following and following.start() == mark.end():
            return []
        parts.append(body[mark.end() : following.start() if following else len(body)])
    return parts


def _content_type(part: bytes) -> str:
    """The part's type; empty for one that is of no interest here."""
    end = _HEAD_END.search(part)
    fields = part[: end.end()] if end else part
    if not _OF_INTEREST.search(fields):
        return ""
    return email.parser.BytesHeaderParser().parsebytes(fields).get_content_type()
