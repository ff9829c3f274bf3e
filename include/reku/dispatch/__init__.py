"""From a message of the ledger to a mail in the hands of the relay: media, filling, hand-over, and at most once."""
