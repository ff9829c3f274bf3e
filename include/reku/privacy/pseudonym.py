"""What stands in a person's place after erasure: keyed hashes, from which nobody without the key gets back."""

from __future__ import annotations

import hashlib
import hmac

from reku.foundation.settings import required


def of_person(institute: str, number: str) -> str:
    """Names an erased person in audit and receipt: 32 hex digits, always the same ones."""
    return _keyed(institute, number)[:32]


def in_ledger(institute: str, number: str, delivery: int) -> str:
    """Stands for the number in the messages of one delivery, and in what is still reported of them.

    At most 20 characters, as the Personennummer of a response file. Another one in each delivery: the
    person may be delivered, mailed and erased again, and the ledger tells all these mails apart.
    """
    return f"GELOESCHT-{_keyed(institute, number, str(delivery))[:10]}"


def _keyed(*parts: str) -> str:
    text = "|".join(("person", *parts))
    return hmac.new(required("secret_key").encode(), text.encode(), hashlib.sha256).hexdigest()
