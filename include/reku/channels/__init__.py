"""How a message reaches a person: one folder per channel."""
