"""The relay: connections, conversations, and what its answers say about a mail."""
