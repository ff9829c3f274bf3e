"""A page that shows a medium and loads itself anew while somebody writes (`reku preview --watch`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from reku.catalogue import institutes, medium_folder
from reku.channels.email.media.medium_check import medium_faults
from reku.channels.email.media.overview import fault_list, fault_page, overview_page
from reku.channels.email.media.preview import preview_mail
from reku.foundation.errors import ConfigError
from reku.foundation.settings import settings

_RELOAD = """
let known = null;
setInterval(async () => {
  const now = await (await fetch('state')).text().catch(() => known);
  // medium.yaml is looked at once a second
  if (known !== null && now !== known) setTimeout(() => location.reload(), 1100);
  known = now;
}, 500);
"""


class LivePreview(ThreadingHTTPServer):
    """A server for this machine only: `/` shows the medium as it is now, `/state` changes when one of its files does.

    `person`: what is delivered of whom it is filled for. `port`: 0 for a free one.
    """

    daemon_threads = True

    def __init__(self, key: str, blz: str, person: Mapping[str, str], port: int = 0) -> None:
        self.key, self.blz, self.person = key, blz, person
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.server_port}/"

    def page(self) -> str:
        """The page with the medium, and what `reku media check` says of it; only the faults if it makes no mail."""
        try:
            mail = preview_mail(self.key, institutes()[self.blz], self.person)
        except ConfigError as error:
            return fault_page(self.key, [error], _RELOAD)
        faults = fault_list(medium_faults([self.key], [self.blz]))
        return overview_page(self.key, mail, script=_RELOAD, note=faults)

    def state(self) -> str:
        """Of all files that the page shows something of: changed when one of them was written or has gone."""
        stamps = (f"{file.name} {file.stat().st_mtime_ns} {file.stat().st_size}" for file in self._files())
        return "\n".join(stamps)

    def _files(self) -> Iterator[Path]:
        root = settings().config_dir
        folder = medium_folder(self.key)
        for place in (folder, folder.parent, root / "templates" / "shared"):
            yield from sorted(file for file in place.glob("*") if file.is_file())
        yield root / "institutes" / f"{self.blz}.yaml"


class _Handler(BaseHTTPRequestHandler):
    server: LivePreview

    def do_GET(self) -> None:
        """Answer `/` and `/state`."""
        known = {"/": ("text/html", self.server.page), "/state": ("text/plain", self.server.state)}
        if self.path not in known:
            self.send_error(404)
            return
        kind, make = known[self.path]
        try:
            body = make().encode()
        except OSError:  # a file that an editor is just writing: the next look sees it
            body = b""
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Nothing: a person is at work here."""
