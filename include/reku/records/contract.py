"""Contracts: the agreed layout of each kind of file, as YAML under `contracts/`. None of it is code."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from reku.foundation.errors import ConfigError
from reku.foundation.settings import settings
from reku.foundation.yaml_source import load
from reku.records.faults import FaultCode

_TYPE = re.compile(r"(AN|N)\(([1-9][0-9]*)\)|(Z|D|DT|J/N|ENUM)")

Role = Literal[
    "reference",  # the row's key at its sender, returned in responses and receipts
    "person_number",
    "address",  # where the mail goes
    "occasion_date",
    "valid_until",
    "channel",  # by which the person is reached
    "consent",  # to mails
    "tracking",  # consent to being counted by person
    "salutation",
    "content_key",  # the medium that was chosen for the row
    "priority",  # 1 first, 9 last, where contacts compete
]
"""What a column is to us, whatever its file calls it: its values stand in a column of `delivery_rows` of that name."""

_DELIVERED: tuple[Role, ...] = ("reference", "person_number", "address", "occasion_date", "consent")
"""Roles without which no row can become a message."""

Conditions = Mapping[str, tuple[str, ...]]
"""Column name → the values of it under which something holds."""


class Strict(BaseModel):
    """A part of one of our files: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _compiles(pattern: str | None) -> str | None:
    if pattern is not None:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
    return pattern


class Column(Strict):
    """One column of a contract."""

    name: str = Field(min_length=1, max_length=60, description="as it stands in the K record")
    role: Role | None = Field(None, description="what the column is to us, whatever it is called")
    type: str = Field(description="AN(n) text, N(n) exactly n digits, Z whole number, D, DT, J/N or ENUM")
    obligation: Literal["M", "O", "C"] = Field(description="mandatory, optional, conditional")
    meaning: str = Field("", description="one line for people")
    example: str = Field("", description="a valid value")
    default: str = Field("", description="taken when the value is empty or the column is missing")
    values: Mapping[str, str] = Field({}, description="ENUM: allowed value and its meaning")
    stands_for: Mapping[str, str] = Field({}, description="ENUM: value → our own word for it, in tables and code")
    codes: Mapping[str, str] = Field({}, description="our value → the partner's code, where it differs in the file")
    pattern: str | None = Field(None, description="regular expression for the whole value")
    characters: str | None = Field(None, description="allowed characters, as inside [] of a regular expression")
    minimum: int | None = Field(None, description="least value of a Z")
    maximum: int | None = Field(None, description="greatest value of a Z")
    address: bool = Field(False, description="must be a mail address")
    equals_head: Literal["institute", "order_number"] | None = Field(None, description="must equal the V record")
    not_before: str | None = Field(None, description="a D column that this D must not precede")
    mandatory_when: Conditions = Field({}, description="mandatory if all these columns hold one of the values")
    allowed_when: Conditions = Field({}, description="must be empty unless all these columns hold one of the values")
    transliterate: bool = Field(False, description="when writing: replace characters the encoding lacks (names)")
    listed: bool = Field(False, description="stays with the person on the list; what is not leaves with the mail")
    sealed: bool = Field(False, description="of a row that we select: stored sealed only, open in memory")
    fault: FaultCode = Field(FaultCode.FORMAT, description="code when pattern or characters are broken")
    advice: str = Field("", max_length=200, description="German advice then; empty: made from the rule")

    _regular = field_validator("pattern")(_compiles)

    @field_validator("type")
    @classmethod
    def _known_type(cls, value: str) -> str:
        if not _TYPE.fullmatch(value):
            raise ValueError("a type is AN(n), N(n), Z, D, DT, J/N or ENUM")
        return value

    @field_validator("characters")
    @classmethod
    def _character_class(cls, value: str | None) -> str | None:
        if value is not None:
            _compiles(f"[{value}]")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.type == "ENUM") != bool(self.values):
            raise ValueError("values belong to type ENUM and to no other")
        if len(set(self.codes.values())) < len(self.codes):
            raise ValueError("codes: two values share one code")
        if self.stands_for and (
            set(self.stands_for) != set(self.values) or len(set(self.stands_for.values())) < len(self.values)
        ):
            raise ValueError("stands_for: each value needs one word, and each word belongs to one value")
        if self.obligation != "C" and self.mandatory_when:
            raise ValueError("mandatory_when belongs to obligation C")
        return self

    @property
    def base(self) -> str:
        """The type without its length."""
        return self.type.partition("(")[0]

    @property
    def length(self) -> int | None:
        """The n of AN(n) and N(n)."""
        match = _TYPE.fullmatch(self.type)
        return int(match[2]) if match and match[2] else None


class Contract(Strict):
    """The agreed layout of one kind of file."""

    kind: str = Field(pattern="^[A-Z0-9_]{2,20}$", description="Dateiart in the V record")
    title: str = Field(description="what the file is, one line")
    direction: Literal["in", "out"] = Field(description="in: we receive it")
    version: str = Field(pattern="^[0-9]{1,3}$", description="version of the layout in the V record")
    partner: Literal["FI", "AGREE21", "GDIX"] = Field("FI", description="who is at the other end")
    file_name: str | None = Field(
        None,
        description="regular expression with the groups blz, auftrag, lnr, zeit as far as they occur; none: no file, "
        "the rows are selected by us",
    )
    file_name_example: str = ""
    encodings: tuple[Literal["utf-8", "iso-8859-15", "cp1252"], ...] = Field(
        min_length=1, description="allowed encodings; the first is used unless an institute agreed on another"
    )
    delimiter: Literal[";", "|", "\t"] = ";"
    frame: Literal["vkdn", "plain", "either", "bare"] = Field(
        "vkdn",
        description="V/K/D/N records, or a header line only; either: as its first line shows; bare: rows alone, which "
        "we only write",
    )
    gzip: bool = Field(False, description="a file named .gz is packed")
    max_bytes: int = Field(300_000_000, ge=1, description="largest unpacked file")
    max_rows: int = Field(1_000_000, ge=1, description="most rows of a file")
    unique: tuple[str, ...] = Field((), description="columns whose value may stand in one row only")
    columns: tuple[Column, ...] = Field(min_length=1, description="in the order in which they are written")

    _regular = field_validator("file_name")(_compiles)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        names = [column.name for column in self.columns]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"column {name} stands twice")
        for column in self.columns:
            named = {*column.mandatory_when, *column.allowed_when} | (
                {column.not_before} if column.not_before else set()
            )
            if unknown := named - set(names):
                raise ValueError(f"column {column.name} hangs on {', '.join(sorted(unknown))}, which is no column")
        if self.frame == "bare" and self.direction != "out":
            raise ValueError("frame: bare belongs to files that we write; nobody could tell their columns")
        roles = [column.role for column in self.columns if column.role]
        for role in roles:
            if roles.count(role) > 1:
                raise ValueError(f"role {role} stands twice")
        if "address" in roles and (missing := [role for role in _DELIVERED if role not in roles]):
            raise ValueError(f"a delivery needs columns of the roles {', '.join(missing)} too")
        if unknown := set(self.unique) - set(names):
            raise ValueError(f"unique names {', '.join(sorted(unknown))}, which is no column")
        sealed = {column.name for column in self.columns if column.sealed}
        if sealed and self.roles.get("address") not in sealed:
            raise ValueError("where something is sealed, the column of the role address is too")
        if open_roles := sealed & set(self.roles.values()) - {self.roles.get("address")}:
            raise ValueError(f"{', '.join(sorted(open_roles))} has a role and cannot be sealed")
        if self.file_name is not None and self.match(self.file_name_example) is None:
            raise ValueError("file_name_example does not match file_name")
        return self

    def match(self, file_name: str) -> dict[str, str] | None:
        """The named parts of a file name (those that occur), or None if the name is not of this kind."""
        parts = re.fullmatch(self.file_name, file_name, re.ASCII) if self.file_name is not None else None
        return {part: text for part, text in parts.groupdict().items() if text is not None} if parts else None

    @property
    def roles(self) -> Mapping[Role, str]:
        """The name of the column of each role that one has."""
        return {column.role: column.name for column in self.columns if column.role}

    @property
    def listed(self) -> tuple[str, ...]:
        """The names of the columns that a subscriber list keeps, besides person number and address."""
        return tuple(column.name for column in self.columns if column.listed)

    @property
    def sealed(self) -> tuple[str, ...]:
        """The names of the columns that are stored sealed only; among them the address, if there are any."""
        return tuple(column.name for column in self.columns if column.sealed)

    def column(self, name: str) -> Column | None:
        """The column of this name, or None."""
        return next((column for column in self.columns if column.name == name), None)

    def words(self, column: str) -> Mapping[str, str]:
        """What each value of a column stands for, in our own words. Raises KeyError for a column without such words."""
        found = self.column(column)
        if found is None or not found.stands_for:
            raise KeyError(f"{self.kind} {column}")
        return found.stands_for

    def translate(self, columns: Sequence[str], rows: list[list[str]], *, inbound: bool) -> None:
        """Put our values for the partner's codes (`inbound`) or the reverse, in place; other values stay."""
        for column in self.columns:
            if column.codes and column.name in columns:
                at = columns.index(column.name)
                codes = {code: value for value, code in column.codes.items()} if inbound else column.codes
                for row in rows:
                    row[at] = codes.get(row[at], row[at])

    @property
    def mandatory(self) -> tuple[str, ...]:
        """Names of the columns that no file may lack."""
        return tuple(column.name for column in self.columns if column.obligation == "M")


def contracts() -> Mapping[str, Contract]:
    """All contracts of the settings' configuration folder by Dateiart. Raises ConfigError, see `load_contracts`."""
    return load_contracts(settings().config_dir / "contracts")


@cache
def load_contracts(folder: Path) -> Mapping[str, Contract]:
    """All contracts of a folder by Dateiart, read once.

    Raises ConfigError with file and line for a broken contract, for two of one Dateiart, and for an empty folder.
    """
    by_kind: dict[str, Contract] = {}
    origin: dict[str, Path] = {}
    for path in sorted(folder.glob("*.yaml")):
        contract = load(path, Contract)
        if contract.kind in by_kind:
            raise ConfigError(
                f"Two contracts of kind {contract.kind}: the other is {origin[contract.kind]}.", file=path
            )
        by_kind[contract.kind], origin[contract.kind] = contract, path
    if not by_kind:
        raise ConfigError("No contract files (*.yaml) here.", file=folder)
    return MappingProxyType(by_kind)


def match_name(file_name: str) -> tuple[Contract, dict[str, str]] | None:
    """The contract that knows a file of this name, and the named groups of its pattern (blz, auftrag, lnr, zeit)."""
    for contract in contracts().values():
        if (groups := contract.match(file_name)) is not None:
            return contract, groups
    return None
