"""The client of EMMA's web service: one call, tried again where it may be repeated, its answer in our types.

User and password stand in the body, never in an address. Whatever an answer says, no word of it gets into an error: it
may name people. What a call did is unknown when its answer is lost, so only calls that change nothing, or that do the
same twice, are tried again here; the others are looked up by their key (see `importing`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

import httpx
import msgspec
import tenacity

from reku.channels.emma.answers import Row
from reku.channels.emma.errors import LOGIN_FAILED, EmmaAway, EmmaLoginRefused, EmmaRefused, EmmaShape

PAGE = 1000
"""Rows of a page; more is not given."""
TRIES = 5
LONGEST_PAUSE = 60.0
"""Seconds before a further try at most, whatever the server asks for: a task gives its worker back instead."""
_BUSY = frozenset({429, 502, 503, 504})
_SERVER_FAULT = 500

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Login:
    """User and password of an account. Neither is shown."""

    username: str = field(repr=False)
    password: str = field(repr=False)


class _Busy(EmmaAway):
    """Worth another try; `pause`: seconds that the server asks for."""

    def __init__(self, text: str, pause: float = 0.0) -> None:
        super().__init__(text)
        self.pause = pause


class EmmaClient:
    """An account's web service. Raises EmmaAway, EmmaRefused (EmmaLoginRefused), EmmaShape from each call.

    `url`: to which a function's name is appended. `sleep`: how a pause before another try is spent.
    """

    def __init__(
        self,
        institute: str,
        url: str,
        login: Login,
        *,
        timeout: float = 30.0,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self.institute = institute
        self._login = {"username": login.username, "password": login.password}
        limits = httpx.Limits(max_connections=4)
        self._http = httpx.Client(
            base_url=url.rstrip("/") + "/", timeout=httpx.Timeout(timeout, connect=10.0), limits=limits
        )
        self._again = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Busy),
            stop=tenacity.stop_after_attempt(TRIES),
            wait=_pause,
            reraise=True,
            sleep=sleep or time.sleep,
        )

    def __enter__(self) -> EmmaClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def ask(self, function: str, kind: type[Kind], /, **given: Any) -> Kind:
        """Call a function that may be repeated; it is tried again while the server is busy."""
        answer: Kind = self._again(self.once, function, kind, **given)
        return answer

    def once(self, function: str, kind: type[Kind], /, **given: Any) -> Kind:
        """Call a function once. After EmmaAway nobody knows whether it was carried out."""
        fields = self._login | form_of(given)
        try:
            answer = self._http.post(function, data=fields)
        except httpx.HTTPError as error:
            raise _Busy(
                f"EMMA account of institute {self.institute}: {function} got no answer ({type(error).__name__})."
            ) from None
        return self._result(function, answer, kind)

    def pages(self, function: str, *, start: int = 0, **given: Any) -> Iterator[tuple[int, list[Row]]]:
        """What a function tells page by page, each with the place that the next one begins at."""
        advanced = given.pop("advanced", {})
        while True:
            paging = advanced | {"start": start, "limit": PAGE}
            rows = self.ask(function, list[Row], advanced=paging, **given)
            start += PAGE
            yield start, rows
            if len(rows) < PAGE:
                return

    def _result(self, function: str, answer: httpx.Response, kind: type[Kind]) -> Kind:
        who = f"EMMA account of institute {self.institute}: {function}"
        if answer.status_code in _BUSY:
            raise _Busy(f"{who} was answered with HTTP {answer.status_code}: busy or away.", _asked_pause(answer))
        if answer.status_code >= _SERVER_FAULT:
            raise _Busy(f"{who} was answered with HTTP {answer.status_code}: a fault of the server.")
        if answer.status_code != httpx.codes.OK:
            raise EmmaShape(function, f"HTTP {answer.status_code}; is REKU_EMMA_URL right?", self.institute)
        try:
            envelope = msgspec.json.decode(_in_utf8(answer), type=_Envelope)
        except UnicodeError:
            raise EmmaShape(function, "bytes in another encoding than it says", self.institute) from None
        except msgspec.ValidationError as error:
            raise EmmaShape(function, str(error), self.institute) from None
        except msgspec.DecodeError:
            raise _Busy(f"{who} was answered with something that is no JSON (maintenance, or cut off).") from None
        if envelope.error == LOGIN_FAILED:
            raise EmmaLoginRefused(function, LOGIN_FAILED, self.institute)
        if envelope.error:
            raise EmmaRefused(function, envelope.error, self.institute)
        try:
            return msgspec.convert(envelope.result, type=kind, strict=False)
        except msgspec.ValidationError as error:
            raise EmmaShape(function, f"result: {error}", self.institute) from None


class _Envelope(msgspec.Struct, frozen=True):
    error: int
    result: Any = None


def form_of(given: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """Parameters as form fields: nested ones as `advanced[limit]`, several values under `advanced[fields][]`."""
    fields: dict[str, str | list[str]] = {}
    for name, value in given.items():
        if isinstance(value, Mapping):
            for key, inner in form_of(value).items():
                head, bracket, tail = key.partition("[")
                fields[f"{name}[{head}]{bracket}{tail}"] = inner
        elif isinstance(value, list | tuple):
            fields[f"{name}[]"] = list(map(str, value))
        elif value is not None:
            fields[name] = str(value)
    return fields


def _in_utf8(answer: httpx.Response) -> bytes:
    """The body in UTF-8: an answer that names another encoding is read by it."""
    named = answer.charset_encoding
    if named is None or named.lower().replace("_", "-") in ("utf-8", "utf8"):
        answer.content.decode("utf-8")
        return answer.content
    try:
        return answer.content.decode(named).encode()
    except LookupError:
        raise UnicodeError from None


def _asked_pause(answer: httpx.Response) -> float:
    asked = answer.headers.get("Retry-After", "")
    return float(asked) if asked.isdigit() else 0.0


_backoff = tenacity.wait_exponential_jitter(initial=1.0, max=LONGEST_PAUSE)


def _pause(state: tenacity.RetryCallState) -> float:
    """How long to wait before another try: what the server asks for, else twice as long each time."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.pause if isinstance(error, _Busy) else 0.0
    return min(max(asked, _backoff(state)), LONGEST_PAUSE)
