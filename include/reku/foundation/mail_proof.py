"""The proof that somebody holds a whole mail of ours: a signature over its body in a header field of its own.

A complaint may bar a person, so it has to prove more than that its sender has seen a mail. A relay's log knows the
return path, an answer or an archive the Message-ID, a mail that was passed on its text and its unsubscribe link. This
field and the whole text together has only who was given the mail itself, with its header: the recipient, his provider,
and whoever they hand it on to.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from reku.foundation.tokens import Purpose, Target, make, read

FIELD = "X-Reku-Proof"
BOUNDARY = "=_reku"
"""Between the parts of our mails; quoted-printable never writes `=_`, so no part can contain it."""

_MOST = 3
_PROOF = re.compile(rb"^" + FIELD.encode() + rb"[ \t]*:[ \t\r\n]*([A-Za-z0-9._-]{1,200})[ \t]*\r?$", re.M | re.I)
_END_OF_HEAD = re.compile(rb"\n\r?\n")
_END = f"--{BOUNDARY}--".encode()
_BLANKS = b" \t\r\n"


def proof(message: int, body: bytes) -> str:
    """The value of the field for a mail with this body. Raises SetupError if no token key is set."""
    return make(Purpose.WHOLE_MAIL, Target(message, 0, _digest(body)))


def proven_messages(data: bytes) -> Iterator[int]:
    """The messages whose whole mails stand in these bytes, as they are or attached."""
    for number, found in enumerate(_PROOF.finditer(data)):
        if number == _MOST:
            return
        head = _END_OF_HEAD.search(data, found.end())
        end = data.find(_END, head.end()) if head else -1
        target = read(Purpose.WHOLE_MAIL, found[1].decode()) if head and end >= 0 else None
        if head and target and target.medium == _digest(data[head.end() : end + len(_END)]):
            yield target.id


def _digest(body: bytes) -> str:
    """Blanks and line ends are what mail systems change on the way."""
    return hashlib.sha256(body.translate(None, _BLANKS)).hexdigest()[:40]
