"""A real IMAP server, and accounts on it."""

from __future__ import annotations

from reku_testing.imap import opened, server

__all__ = ["opened", "server"]
