"""A return mailbox that is a Maildir(++): `.gesehen` and `.ungeklaert` hold what was filed.

What waits lies in `new/`, or in `cur/`: a mail program that opens the inbox moves everything there.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from reku.foundation.errors import SetupError
from reku.foundation.one_by_one import one_by_one
from reku.foundation.private_files import private_folder
from reku.mailbox.returned_mail import MAX_BYTES, SEEN, UNCLEAR, ReturnedMail

_PARTS = ("tmp", "new", "cur")
_DAY = 86_400.0


class MaildirMailbox:
    """A Maildir on this machine; a mail's name is its file name without the flags, which never changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = f"the Maildir {folder}"

    def waiting(self) -> Iterator[ReturnedMail]:
        """See Mailbox."""
        with self._plain_errors():
            self._prepare()
            for path in sorted(self._inbox(), key=lambda path: path.name):
                read: dict[Path, bytes] = {}

                def look(one: Path, to: dict[Path, bytes] = read) -> None:
                    to[one] = _beginning(one)

                failed = one_by_one([path], look, named=_unnamed).failures
                if failed and isinstance(failed[0].error, FileNotFoundError):
                    continue  # another collector has just taken it
                # what cannot be read is set aside unread
                yield ReturnedMail(str(path), _plain(path), read.get(path, b""))

    def file(self, letters: Mapping[str, Sequence[str]]) -> None:
        """See Mailbox. What was dealt with is filed as read, what is unclear as new: mail programs show it."""

        def move(mail: tuple[str, Path]) -> None:
            folder, path = mail
            box = self._box(folder)
            target = box / "new" / _plain(path) if folder == UNCLEAR else box / "cur" / f"{_plain(path)}:2,S"
            with suppress(FileNotFoundError):
                path.rename(target)

        mails = [(folder, Path(key)) for folder, keys in letters.items() for key in keys]
        with self._plain_errors():
            if failures := one_by_one(mails, move, named=_unnamed).failures:
                raise failures[0].error

    def count(self) -> dict[str, int]:
        """See Mailbox."""
        with self._plain_errors():
            self._prepare()
            return {"new": len(list(self._inbox()))} | {name: len(list(self._mails(name))) for name in (SEEN, UNCLEAR)}

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        """See Mailbox."""
        beginnings = {}
        with self._plain_errors():
            for path in self._named(names):
                with suppress(FileNotFoundError):  # a collector or a mail program has just moved it
                    beginnings[_plain(path)] = _beginning(path)
        return beginnings

    def refile(self, names: Collection[str], folder: str) -> None:
        """See Mailbox."""
        with self._plain_errors():
            found = [str(path) for path in self._named(names)]
        self.file({folder: found})

    def remove(self, names: Collection[str]) -> int:
        """See Mailbox."""
        with self._plain_errors():
            return sum(_removed(path) for path in self._named(names))

    def remove_old(self, days: int) -> int:
        """See Mailbox."""
        limit = time.time() - days * _DAY
        with self._plain_errors():
            filed = [path for name in (SEEN, UNCLEAR) for path in self._mails(name, _PARTS)]
            return sum(_removed(path) for path in filed if _came(path) < limit)

    def _prepare(self) -> None:
        for folder in (self._folder, self._box(SEEN), self._box(UNCLEAR)):
            for place in (folder, *(folder / name for name in _PARTS)):
                private_folder(place)
        for name in (SEEN, UNCLEAR):
            (self._box(name) / "maildirfolder").touch()  # mail programs show the two as folders

    def _box(self, name: str) -> Path:
        return self._folder / f".{name}"

    def _inbox(self) -> Iterator[Path]:
        """What waits. `new` comes first, since that is the way mail programs move a mail meanwhile."""
        for part in ("new", "cur"):
            folder = self._folder / part
            if folder.is_dir():
                yield from (path for path in folder.iterdir() if path.is_file())

    def _mails(self, name: str, parts: Sequence[str] = ("new", "cur")) -> Iterator[Path]:
        for part in parts:
            folder = self._box(name) / part
            if folder.is_dir():
                yield from (path for path in folder.iterdir() if path.is_file() and not path.is_symlink())

    def _named(self, names: Collection[str]) -> Iterator[Path]:
        wanted = set(names)
        waiting = self._inbox() if wanted else ()
        filed = (path for name in (SEEN, UNCLEAR) for path in self._mails(name)) if wanted else ()
        yield from (path for path in (*waiting, *filed) if _plain(path) in wanted)

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SetupError(
                f"The Maildir {self._folder} cannot be used: {error.strerror}. Check REKU_BOUNCE_MAILDIR and the "
                "permissions there; no mail is lost, the next collection goes on."
            ) from error


def _unnamed(_mail: object) -> str:
    """Names of mails may hold anything."""
    return "a mail of the Maildir"


def _plain(path: Path) -> str:
    return path.name.partition(":")[0]


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES)


def _came(path: Path) -> float:
    """When it was delivered; now, if it has just gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _removed(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True
