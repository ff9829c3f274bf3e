"""Mail addresses: one normal form for comparing, one keyed hash for remembering (domain.md 2.2 U2 and 7)."""

from __future__ import annotations

import hashlib
import hmac

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from reku.settings import required


def _parse(address: str, *, public: bool) -> ValidatedEmail:
    return validate_email(
        address.strip(), check_deliverability=False, allow_smtputf8=True, globally_deliverable=public, strict=True
    )


def normalise(address: str) -> str:
    """The form in which two spellings of one address are equal: trimmed, lower case, domain as A-label.

    Raises ValueError (without naming the address) if it is not an address by RFC 5321 and 6531.
    """
    try:
        valid = _parse(address, public=False)
    except EmailNotValidError:
        raise ValueError("not a valid mail address") from None
    return f"{valid.local_part}@{valid.ascii_domain}".lower()


def is_valid(address: str) -> bool:
    """Whether a mail could be addressed to it at all (syntax, lengths, IDN; no DNS)."""
    try:
        normalise(address)
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Whether a valid address lies in a domain that mail can reach at all: not `.invalid`, `.local`, a bare host …"""
    try:
        _parse(address, public=True)
    except EmailNotValidError:
        return False
    return True


def address_hmac(institute: str, address: str) -> str:
    """HMAC-SHA256 (64 hex digits) of the normalised address, different for each institute.

    Raises ValueError for an invalid address.
    """
    return keyed(institute, normalise(address))


def keyed(institute: str, normalised: str) -> str:
    """HMAC of an already normalised address, see `address_hmac`."""
    key = required("secret_key").encode()
    return hmac.new(key, f"{institute}|{normalised}".encode(), hashlib.sha256).hexdigest()
