"""Prepared files: fixed when due, made when somebody takes them (docs/architecture.md, "Prepared files")."""
