"""Files that people of a bank carry by hand: exports that they upload, and files of its outbox that they fetch."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from reku.catalogue.institute import Institute
from reku.foundation.bank_folders import MARKER, BankFolders, Folder
from reku.foundation.errors import RekuError
from reku.foundation.unpacking import GZIP
from reku.foundation.words import Words
from reku.records.contract import Contract, contracts, match_name
from reku.store.audit import put_on_record

LARGEST = 1 << 30
"""Bytes of an upload. A customer file of a million people has a fifth of that."""
_BEGINNINGS = {
    b"%PDF": Words("ein PDF", "a PDF"),
    b"PK\x03\x04": Words("eine Excel- oder ZIP-Datei", "an Excel or ZIP file"),
    b"\xd0\xcf\x11\xe0": Words("eine alte Excel-Datei", "an old Excel file"),
    GZIP: Words("eine gepackte Datei (gzip)", "a packed file (gzip)"),
    b"\x89PNG": Words("ein Bild", "a picture"),
    b"\xff\xd8\xff": Words("ein Bild", "a picture"),
}
"""How files begin that are taken for an export by mistake."""


class UploadRefused(RekuError):
    """A file that is not taken from the page; `words` say why, and what to do."""

    def __init__(self, german: str, english: str) -> None:
        super().__init__(english)
        self.words = Words(german, english)


def uploads() -> list[Contract]:
    """The kinds of files that a bank may upload: exports of its own data."""
    return [one for one in contracts().values() if one.direction == "in" and one.partner != "FI" and one.file_name]


def check_size(size: int) -> None:
    """Raises UploadRefused for an upload of more bytes than are taken."""
    if size > LARGEST:
        raise UploadRefused(
            f"Die Datei hat {size / 2**30:.1f} GB; hier gehen höchstens {LARGEST >> 30} GB. Bitte über SFTP liefern.",
            f"The file has {size / 2**30:.1f} GB; at most {LARGEST >> 30} GB are taken here. Please deliver by SFTP.",
        )


def check_upload(bank: Institute, name: str, beginning: bytes) -> Contract:
    """What kind of file it is. Raises UploadRefused for a name of no export, another bank's, and what is no text."""
    known = match_name(name)
    if known is None or known[0].kind not in {one.kind for one in uploads()}:
        examples = ", ".join(one.file_name_example.replace("99950001", bank.blz) for one in uploads())
        raise UploadRefused(
            f"Der Dateiname passt zu keiner Datei, die hier angenommen wird. Beispiele: {examples}.",
            f"The name is none of a file that is taken here. Examples: {examples}.",
        )
    contract, groups = known
    if groups["blz"] != bank.blz:
        raise UploadRefused(
            f"Die Datei nennt die BLZ {groups['blz']}, angemeldet sind Sie für {bank.blz}. Nichts wurde angenommen.",
            f"The file names BLZ {groups['blz']}, and you are here for {bank.blz}. Nothing has been taken.",
        )
    for signature, words in _BEGINNINGS.items():
        if beginning.startswith(signature):
            raise UploadRefused(
                f"Das ist {words.german}, keine CSV-Datei, wie auch immer sie heißt. Bitte als CSV ausleiten.",
                f"That is {words.english} and no CSV file, whatever it is called. Please export it as CSV.",
            )
    if not beginning:
        raise UploadRefused("Die Datei ist leer.", "The file is empty.")
    if b"\0" in beginning and not beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UploadRefused(
            "Das ist keine Textdatei. Bitte als CSV ausleiten.", "That is no text file. Please export it as CSV."
        )
    return contract


def take_upload(engine: sa.Engine, bank: Institute, name: str, blocks: Iterable[bytes], *, actor: str) -> None:
    """Put a checked file into the bank's inbox, complete or not at all, and on record who brought it.

    The next look into the inbox takes it in. Raises UploadRefused if one of that name is waiting there; OSError.
    """
    folders = BankFolders(bank.blz)
    folders.prepare()
    path = folders.path(Folder.INBOX, name)
    if folders.exists(path):
        raise UploadRefused(
            "Eine Datei dieses Namens liegt schon im Eingang und wird gleich gelesen.",
            "A file of that name is in the inbox already, and will be read in a moment.",
        )
    folders.write(path, blocks)
    folders.write(f"{path}{MARKER}", [b""])
    with engine.begin() as connection:
        put_on_record(connection, bank.blz, actor=actor, action="upload file", subject=f"file:{name}", note="")


def outbox_files(bank: Institute) -> list[str]:
    """Names of what lies in the bank's outbox for a person or a system to fetch, newest name last."""
    folders = BankFolders(bank.blz)
    folders.prepare()
    return sorted(one.name for one in folders.files(Folder.OUTBOX) if not one.is_draft)


def fetch_from_outbox(engine: sa.Engine, bank: Institute, name: str, *, actor: str) -> bytes:
    """The bytes of a file of the outbox, with who took it on record. Raises RekuError if there is none of that name."""
    if name not in outbox_files(bank):
        raise RekuError(f"{name} is not in the outbox of institute {bank.blz} (any more).")
    folders = BankFolders(bank.blz)
    data = folders.read(folders.path(Folder.OUTBOX, name))
    with engine.begin() as connection:
        put_on_record(connection, bank.blz, actor=actor, action="fetch file", subject=f"file:{name}", note="")
    return data
