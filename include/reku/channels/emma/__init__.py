"""An EMMA account as the mail engine: it holds the list, sends, and tells what came back (docs/emma.md)."""
