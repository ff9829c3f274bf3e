"""From a message of the ledger to a message in the hands of a channel, at most once (docs/dispatch.md)."""
