"""Mail addresses: one normal form for comparing, one keyed hash for remembering (docs/domain.md, "Addresses")."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache

from email_validator import EmailNotValidError, ValidatedEmail, validate_email
from email_validator.rfc_constants import DOT_ATOM_TEXT, LOCAL_PART_MAX_LENGTH

from reku.foundation.settings import required


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


def normalised(addresses: Iterable[str]) -> dict[str, str]:
    """Each address as it was given → its normal form, as `normalise` has it; invalid ones are left out.

    Fast for many: the library looks at each domain once, and a local part that is a dot-atom by the library's own
    pattern needs no further look. Every other address takes the whole way.
    """
    by_spelling: dict[str, str] = {}
    for address in addresses:
        local, _, domain = address.strip().partition("@")
        plain = len(local) <= LOCAL_PART_MAX_LENGTH and DOT_ATOM_TEXT.match(local)
        if plain and (host := _ascii_domain(domain)) is not None:
            by_spelling[address] = f"{local}@{host}".lower()
            continue
        with suppress(ValueError):
            by_spelling[address] = normalise(address)
    return by_spelling


@lru_cache(maxsize=10_000)
def _ascii_domain(domain: str) -> str | None:
    """The domain's A-label form; None if it is invalid, or so long that it depends on the local part's length."""
    try:
        return _parse("l" * LOCAL_PART_MAX_LENGTH + "@" + domain, public=False).ascii_domain
    except EmailNotValidError:
        return None


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


def key_of_person(institute: str, person_number: str) -> str:
    """By what a recipient is known where nothing goes to a mail address: an HMAC of the person number."""
    return keyed(institute, f"person {person_number}")


def keyed(institute: str, normalised: str) -> str:
    """HMAC of an already normalised address, see `address_hmac`."""
    return keyer(institute)(normalised)


def keyer(institute: str) -> Callable[[str], str]:
    """`keyed` for many addresses of one institute."""
    begun = hmac.new(required("secret_key").encode(), f"{institute}|".encode(), "sha256")

    def key(normalised: str) -> str:
        this = begun.copy()
        this.update(normalised.encode())
        return this.hexdigest()

    return key
