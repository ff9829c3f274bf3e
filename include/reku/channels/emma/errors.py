"""What can go wrong between us and an EMMA account, in words: none of an answer's, and no value of a person."""

from __future__ import annotations

from collections.abc import Mapping

from reku.foundation.errors import AwayError, StageError


class EmmaAway(AwayError):
    """The account's server is not there, is overloaded, or answered with something that is no answer."""


class EmmaRefused(StageError):
    """The server understood a call and said no. `function` and `code`: as the web service has them."""

    def __init__(self, function: str, code: int, institute: str) -> None:
        super().__init__(f"EMMA account of institute {institute}: {function} was refused: {meaning(function, code)}.")
        self.function, self.code = function, code


class EmmaLoginRefused(EmmaRefused):
    """The log-in failed: wrong user or password, or the account has expired."""


class EmmaShape(StageError):
    """An answer looks otherwise than it did: nothing of it was taken, and no cursor has moved."""

    def __init__(self, function: str, what: str, institute: str) -> None:
        super().__init__(
            f"EMMA account of institute {institute}: the answer of {function} has another shape than expected: {what}."
            " Nothing of it was taken; it is asked for again. Compare docs/emma.md, then have the client corrected."
        )
        self.function = function


LOGIN_FAILED = 1
"""The one code that means the same in every function."""
NOT_RUN_YET = 4
"""Code of clicks of a mailing that was not sent yet: there are none."""
LIST_LIMIT = 4
"""Code of createList where the account has as many lists as it may."""
IMPORT_IS_RUNNING = 6
"""Code of importRecipients while another import of the same list runs."""

_MEANINGS: Mapping[str, Mapping[int, str]] = {
    "createList": {2: "no name was given", 3: "the name is taken", LIST_LIMIT: "the account has all its lists"},
    "getRecipientCountByListId": {2: "no list was given", 3: "there is no such list"},
    "createRecipient": {2: "no list was given", 3: "no fields were given", 4: "no such list", 5: "no such field"},
    "importRecipients": {
        2: "no list was given",
        3: "the rows cannot be read",
        4: "there is no such list",
        5: "there is no such field",
        IMPORT_IS_RUNNING: "another import of this list is running",
    },
    "getRecipientIdsByFieldIdAndValue": {2: "no field was given", 3: "there is no such field"},
    "optoutRecipientById": {2: "no recipient was given", 3: "there is no such recipient"},
    "getEmailById": {2: "no mailing was given", 3: "there is no such mailing"},
    "getRecipientsByEmailId": {2: "no valid number of a mailing was given"},
    "getOpeningsByEmailId": {2: "no mailing was given", 3: "there is no such mailing"},
    "getClicksByEmailId": {
        2: "no mailing was given",
        3: "there is no such mailing",
        NOT_RUN_YET: "it was not sent yet",
    },
    "getBouncesByEmailId": {2: "there is no such field", 3: "no valid number of a mailing was given"},
    "getRetainedEmailAddresses": {
        2: "the first day is no date",
        3: "the last day is no date",
        4: "the last day lies before the first",
    },
    "getHistoryExport": {2: "no export was given", 3: "there is no such export"},
}
"""What the functions' own codes mean."""


def meaning(function: str, code: int) -> str:
    """What a code of a function means, in words."""
    if code == LOGIN_FAILED:
        return (
            "the log-in failed (code 1). User or password are wrong, or the account has expired; correct the bank's "
            "entry in REKU_EMMA_ACCOUNTS and see in EMMA whether the user may still log in"
        )
    known = _MEANINGS.get(function, {}).get(code)
    return f"{known} (code {code})" if known else f"code {code}, which docs/emma.md does not know"
