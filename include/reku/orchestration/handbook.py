"""Generated parts of the handbook: `docs/OCCASIONS.md`, and the table of settings in `docs/operations.md`.

`python -m reku.orchestration.handbook docs` writes both; a test fails when they and their sources differ.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from reku.catalogue import occasions
from reku.catalogue.occasion import Occasion, Window
from reku.foundation.settings import INCLUDE, Settings, settings
from reku.gate.rule_files import DELIVERIES, load_occasion_rules
from reku.orchestration.names import dag_id, start_minute
from reku.store.kinds import Severity

BEGIN, END = "<!-- settings: begin -->", "<!-- settings: end -->"

_OCCASIONS = """\
# Occasions

Made from `include/occasions/*.yaml` and `include/expectations/occasions/*.yaml` by `make docs`; a test fails when this
page and the files differ.

- [All occasions](#all-occasions)
- [Rules of the gate](#rules-of-the-gate)

## All occasions

One row is one file `include/occasions/<code>.yaml` and one DAG in Airflow.

- **prio**: 1 high … 9 low, where contacts compete.
- **window**: the days around `Anlass_Datum` on which a mail may go out, both included. `0…3` is never early and at most
  three days late, `−60…0` at most sixty days early and never late.
- **waits**: how long a run waits for responses after the last mail.
- **start**: when the daily run begins, Berlin time.

| code | title | family | prio | window | waits | start | DAG | media |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


_RULES = """
## Rules of the gate

What an occasion demands of the rows of its deliveries, beyond what holds for all
([operations.md](operations.md#rules-of-the-gate)). An empty optional field keeps nobody out.

- **field**: the rule looks at it; with REKU or IAMW only in deliveries of that kind.
- **breach**: *row rejected* keeps the row out, *counted* lets it go on, *file refused* refuses the whole delivery.
- **advice**: what the receipt tells the sender of a rejected row or refused file.

| occasion | field | breach | advice |
| --- | --- | --- | --- |
"""
_BREACH = {Severity.REFUSE: "file refused", Severity.REJECT: "row rejected", Severity.WARN: "counted"}


def occasions_page() -> str:
    """`docs/OCCASIONS.md`. Raises ConfigError for a broken occasion or rule file."""
    known = occasions()
    rows = "\n".join(_row(known[code]) for code in known)
    rules = "\n".join(line for code in known for line in _rules(known[code]))
    return f"{_OCCASIONS}{rows}\n{_RULES}{rules}\n"


def settings_table() -> str:
    """All settings as a Markdown table: variable, default, meaning. Folders are shown as seen from the checkout."""
    return "\n".join(["| variable | default | meaning |", "| --- | --- | --- |", *_settings()])


def with_settings(page: str) -> str:
    """The page with the present table between its two markers. Raises ValueError if it lacks one of them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{settings_table()}\n{END}{after}"


def _row(occasion: Occasion) -> str:
    cells = (
        occasion.code,
        occasion.title,
        occasion.family,
        str(occasion.priority),
        _days(occasion.window),
        _hours(occasion.response_window),
        f"03:{start_minute(occasion.code):02d}",
        f"`{dag_id(occasion.code)}`",
        ", ".join(f"`{key}`" for key in occasion.media) or "none, link your own",
    )
    return f"| {' | '.join(cells)} |"


def _rules(occasion: Occasion) -> Iterator[str]:
    """The rows of an occasion's rules; its title stands in the first one."""
    file = load_occasion_rules(settings().config_dir, occasion.code)
    if file is None or file.none:
        yield f"| {occasion.code} {occasion.title} | none |  | {file.none if file else ''} |"
        return
    for number, rule in enumerate(file.rules):
        title = f" {occasion.title}" if number == 0 else ""
        kinds = "" if rule.kinds == DELIVERIES else f" ({', '.join(rule.kinds)})"
        yield f"| {occasion.code}{title} | `{rule.field}`{kinds} | {_BREACH[rule.severity]} | {rule.advice} |"


def _days(window: Window) -> str:
    return f"{window.first_day}…{window.last_day}".replace("-", "−")


def _hours(wait: timedelta) -> str:
    return f"{wait / timedelta(hours=1):g} h"


def _settings() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        yield f"| `REKU_{name.upper()}` | {_default(field)} | {field.description} |"


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if isinstance(value, Path):
        return f"`{value.relative_to(INCLUDE.parent)}/` of the checkout"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, float):
        value = f"{value:g}"
    return "" if value in (None, "", ()) else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def main(folder: Path) -> None:
    """Write the generated parts of the pages in `folder`."""
    (folder / "OCCASIONS.md").write_text(occasions_page(), encoding="utf-8")
    operations = folder / "operations.md"
    operations.write_text(with_settings(operations.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
