"""The relay: pipelined connections, and what its answers say about a mail."""
