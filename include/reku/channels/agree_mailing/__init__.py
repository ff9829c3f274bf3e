"""agreeMailing as a channel: a file of jobs goes to the bank's outbox, and waits for its acknowledgement."""
