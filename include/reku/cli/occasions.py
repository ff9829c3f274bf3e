"""`reku occasions`: what banks can order."""

from __future__ import annotations

from typing import Annotated

import typer

from reku.cli.output import Json, show, show_one


def occasions(
    code: Annotated[str, typer.Argument(metavar="CODE", help="Show this one in full.", show_default=False)] = "",
    as_json: Json = False,
) -> None:
    """List the occasions, or show one.

    Each is a file include/occasions/CODE.yaml and one DAG in Airflow. Files with faults are left out of the list and
    named on stderr.

    Example: `reku occasions MCAG002`.
    """
    from reku import catalogue
    from reku.foundation.errors import ConfigError
    from reku.foundation.settings import settings

    known = catalogue.occasions()
    if code:
        if code not in known:
            folder = settings().config_dir / "occasions"
            raise ConfigError(f"There is no occasion {code!r}.", file=folder, value=code, valid=tuple(known))
        occasion = known[code]
        fields = occasion.model_dump(mode="json") | {"dag": f"reku_{code.lower()}"}
        fields["window"] = f"{occasion.window.first_day} to {occasion.window.last_day} days around Anlass_Datum"
        fields["response_window"] = str(occasion.response_window)
        fields["media"] = fields["media"] if as_json else ", ".join(occasion.media)
        show_one(fields, as_json=as_json)
        return
    show(
        (
            {
                "code": occasion.code,
                "title": occasion.title,
                "family": occasion.family,
                "priority": occasion.priority,
                "first_day": occasion.window.first_day,
                "last_day": occasion.window.last_day,
                "media": occasion.media,
            }
            for _, occasion in sorted(known.whole.items())
        ),
        as_json=as_json,
        nothing="There are no occasions.",
    )
    for fault in known.faults:
        typer.echo(str(fault), err=True)
