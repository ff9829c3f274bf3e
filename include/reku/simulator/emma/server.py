"""The web service over HTTP: log-in, error envelope, and whatever goes wrong between two machines, when asked for.

Run as `python -m reku.simulator.emma.server --port … --accounts FILE` with a JSON file {BLZ: {"username", "password"}}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reku.foundation.private_files import keep_private
from reku.simulator.emma.account import EmmaAccount, Refusal
from reku.simulator.emma.functions import carry_out, nested

PATH = "/webservice/webservice/json/"


@dataclass(frozen=True)
class Trouble:
    """What goes wrong with one call.

    `function`: of this one only. `status`: it is answered with that status and HTML, and not carried out, unless
    `afterwards`: then it is carried out, and the answer is lost. `half`: so many bytes of the answer are sent. `text`:
    instead of the answer. `encoding`: of the answer, without saying so. `seconds`: before it is answered.
    """

    function: str = ""
    status: int = 0
    afterwards: bool = False
    half: int | None = None
    text: str | None = None
    encoding: str = "utf-8"
    seconds: float = 0.0
    retry_after: str = ""


@dataclass
class EmmaServer:
    """The accounts by user name, and what is to go wrong with the next calls, first come first.

    `repeat_at_borders`: each page begins with the last row of the one before. `log`: path and query of each request.
    """

    accounts: dict[str, EmmaAccount] = field(default_factory=dict)
    troubles: deque[Trouble] = field(default_factory=deque)
    repeat_at_borders: bool = False
    log: list[str] = field(default_factory=list)

    def account(self, username: str, password: str = "geheim") -> EmmaAccount:  # noqa: S107 - an invented account
        """A new account."""
        self.accounts[username] = EmmaAccount(username, password)
        return self.accounts[username]

    def app(self) -> Starlette:
        """The web application."""
        return Starlette(routes=[Route(PATH + "{function}", self._answer, methods=["POST"])])

    async def _answer(self, request: Request) -> Response:
        self.log.append(str(request.url))
        function = request.path_params["function"]
        form = nested(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        trouble = self._trouble(function)
        if trouble.seconds:
            await asyncio.sleep(trouble.seconds)
        if trouble.status and not trouble.afterwards:
            return _page(trouble)
        body = json.dumps(self.envelope(function, form), ensure_ascii=False)
        if trouble.status:
            return _page(trouble)
        data = (body if trouble.text is None else trouble.text).encode(trouble.encoding)
        kind = "application/json" if trouble.text is None else "text/html"
        return Response(data if trouble.half is None else data[: trouble.half], media_type=kind)

    def envelope(self, function: str, form: Mapping[str, str]) -> dict[str, Any]:
        """The answer: error 0 with the result, or the code and the words of a refusal."""
        account = self.accounts.get(form.get("username", ""))
        if account is None or account.password != form.get("password") or account.expired:
            return {"error": 1, "message": "Login failed", "result": None}
        try:
            result = carry_out(account, function, form, repeat_at_borders=self.repeat_at_borders)
        except Refusal as refusal:
            return {"error": refusal.code, "message": refusal.message, "result": None}
        except KeyError:
            return {"error": -1, "message": "Unknown function", "result": None}
        return {"error": 0, "message": "", "result": result}

    def _trouble(self, function: str) -> Trouble:
        for one in self.troubles:
            if one.function in ("", function):
                self.troubles.remove(one)
                return one
        return Trouble()


def _page(trouble: Trouble) -> Response:
    headers = {"Retry-After": trouble.retry_after} if trouble.retry_after else {}
    return Response("<html>Wartung</html>", trouble.status, headers, "text/html")


def main() -> None:
    """Serve until the process is ended."""
    keep_private()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--accounts", type=Path, required=True)
    given = parser.parse_args()
    server = EmmaServer()
    for login in json.loads(given.accounts.read_text(encoding="utf-8")).values():
        server.account(login["username"], login["password"])
    uvicorn.run(server.app(), host="127.0.0.1", port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
