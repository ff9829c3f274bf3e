"""The page on file contracts says what the contracts say."""

from __future__ import annotations

from pathlib import Path

from reku.records import FaultCode, contracts
from reku.records.handbook import document

PAGE = Path(__file__).resolve().parents[2] / "docs" / "file-contracts.md"


def test_the_page_is_the_one_made_from_the_contracts() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == document(), "run: python -m reku.records.handbook docs/file-contracts.md"


def test_the_page_names_every_column_and_every_code() -> None:
    page = document()
    for contract in contracts().values():
        section = page.partition(f"## {contract.kind}: ")[2].partition("\n## ")[0]
        assert [name for name in (f"`{c.name}`" for c in contract.columns) if name not in section] == []
    assert [code for code in FaultCode if f"| `{code}` |" not in page] == []
