"""Files in another encoding than agreed that nothing else would tell: of UTF-8 read as cp1252 each umlaut is two."""

from __future__ import annotations

import codecs
import re

from reku.records.faults import Fault, FaultCode, FileRefused

_UMLAUTS = re.compile("[äöüÄÖÜß]")


def check_code_page(data: bytes, encoding: str) -> None:
    """Raise FileRefused if a file of a single-byte encoding is UTF-16, or UTF-8 all through with umlauts in it.

    Written in the agreed encoding, every umlaut would be a capital letter before one of a few rare signs. (In a file
    that has to be UTF-8, and in one with a mark of UTF-8, decoding finds the fault.)
    """
    if encoding == "utf-8" or data.isascii() or data.startswith(codecs.BOM_UTF8):
        return
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        advice = f"Die Datei ist in utf-16 geschrieben (Unicode-Text). Bitte in {encoding} liefern."
        raise FileRefused([Fault(FaultCode.ZEICHENSATZ, 1, advice=advice)])
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return
    if found := _UMLAUTS.search(text):
        line = text.count("\n", 0, found.start()) + 1
        advice = f"Die Datei ist in utf-8 geschrieben, Umlaute würden zerstört. Bitte in {encoding} liefern."
        raise FileRefused([Fault(FaultCode.ZEICHENSATZ, line, advice=advice)])
