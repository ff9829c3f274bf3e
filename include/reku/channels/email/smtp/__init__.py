"""SMTP: pipelined connections to the relay, and what its answers say about a mail."""
