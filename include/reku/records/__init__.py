"""Reading and writing contract files: frame, encoding, check sum, columns (docs/file-contracts.md).

Contracts are YAML; everything read stays text. File-level faults refuse the whole file (`FileRefused`), row-level
faults are told by `row_faults` and judged by others.
"""

from reku.records.contract import Column, Contract, contracts, load_contracts, match_name
from reku.records.faults import Fault, FaultCode, FileRefused
from reku.records.reader import read
from reku.records.record_file import Head, RecordFile, Rows
from reku.records.rows import row_faults
from reku.records.times import format_date, format_moment, parse_date, parse_moment
from reku.records.writer import write

__all__ = [
    "Column",
    "Contract",
    "Fault",
    "FaultCode",
    "FileRefused",
    "Head",
    "RecordFile",
    "Rows",
    "contracts",
    "format_date",
    "format_moment",
    "load_contracts",
    "match_name",
    "parse_date",
    "parse_moment",
    "read",
    "row_faults",
    "write",
]
