"""Quoted-printable in pieces (RFC 2045 section 6.7).

Every piece begins and ends at the start of a line, behind a soft break where its text does not end one. So what is the
same for everybody is encoded once, a person's values when they are known, and pieces put together are a valid body
without another look at them. No line is longer than 76 characters, none begins with a dot (SMTP would have to double
it), and no character is torn apart by a soft break.
"""

from __future__ import annotations

import re
from binascii import b2a_qp

_SOFT_BREAK = "=\r\n"
_LINE = 73  # 76 less the `=` of a soft break and the two more characters of a first dot, which becomes =2E
# Never cut inside of =XX, nor before a byte 10xxxxxx, which goes on with a character.
_LINES = re.compile(rf".{{1,{_LINE}}}(?<!=)(?<!=[0-9A-F])(?!=[89AB])")


def quoted_printable(text: str) -> str:
    """The text as one piece; its line ends (`\\n`) become CRLF."""
    if "\n" not in text:
        return f"{_line(text)}=\r\n" if text else ""
    *whole, last = text.split("\n")
    return "".join([f"{_line(line)}\r\n" for line in whole]) + quoted_printable(last)


def _line(text: str) -> str:
    if text.isascii() and text.isprintable() and "=" not in text and not text.endswith(" "):
        code = text
        if len(text) > _LINE and "." not in text[::_LINE]:  # a link, as a rule
            return _SOFT_BREAK.join([text[start : start + _LINE] for start in range(0, len(text), _LINE)])
    else:
        code = b2a_qp(text.encode(), istext=False).replace(b"=\n", b"").decode()
    if len(code) <= _LINE and not code.startswith("."):
        return code
    return _SOFT_BREAK.join(f"=2E{line[1:]}" if line[0] == "." else line for line in _LINES.findall(code))


def without_gaps(body: str) -> str:
    """A body of pieces with never more than one empty line in a row, none at either end: an empty `if` leaves some."""
    body = body.replace("=\r\n\r\n", "\r\n")  # a soft break before a line end says nothing
    while "\r\n\r\n\r\n" in body:
        body = body.replace("\r\n\r\n\r\n", "\r\n\r\n")
    return ended(body.lstrip("\r\n"))


def ended(body: str) -> str:
    """A body of pieces with exactly one line end at its end."""
    return body.rstrip(_SOFT_BREAK) + "\r\n"
