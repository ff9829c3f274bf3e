"""The `reku` command: one module per group of commands; what is heavy is imported by the command that needs it."""

from reku.cli.main import app

__all__ = ["app"]
