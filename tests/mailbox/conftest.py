"""A real IMAP server, and accounts on it."""

from __future__ import annotations

from tests.imap import opened, server

__all__ = ["opened", "server"]
