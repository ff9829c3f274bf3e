"""What goes wrong in any command ends in one clear sentence on stderr and an exit code, see `Commands`."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Any

import typer
from typer.core import TyperGroup

from reku.foundation.errors import RekuError
from reku.foundation.private_files import keep_private

FAULT, INTERRUPTED = 1, 130


class Commands(TyperGroup):
    """The root of all commands: a fault that a person can mend is told in a sentence, one of ours has its traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; exits with 1 after telling a fault, with 130 after Ctrl-C."""
        keep_private()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a terminal that has no umlauts is no reason to fail
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except RekuError as error:
            sentence = str(error)
        except BrokenPipeError:
            raise  # `reku … | head`: typer ends quietly
        except OSError as error:
            sentence = _of_machine(error)
        except Exception as error:  # of the database's many kinds some are told in a sentence, the rest goes on
            if (told := _of_database(error)) is None:
                raise
            sentence = told
        typer.echo(sentence, err=True)
        raise typer.Exit(FAULT)


def _of_machine(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    cure = " Allow it, or run the command as somebody who may." if isinstance(error, PermissionError) else ""
    return f"{place}{error.strerror or error}.{cure}"


def _of_database(error: Exception) -> str | None:
    """A sentence for a fault that the database reports, or None for anything else."""
    if "sqlalchemy" not in sys.modules:  # then nothing can have come from the database
        return None
    from psycopg import errors
    from sqlalchemy.exc import DBAPIError, OperationalError

    if not isinstance(error, DBAPIError):
        return None
    said = str(error.orig).strip().partition("\n")[0]
    if isinstance(error, OperationalError):
        return (
            f"The database does not answer ({said}). Is `reku up` or `make demo` running? "
            "REKU_DATABASE_URL names another server."
        )
    if isinstance(error.orig, (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName)):
        return f"The database is not migrated to this version ({said}). `reku up` and `make demo` do it at their start."
    return f"The database refuses: {said}."
