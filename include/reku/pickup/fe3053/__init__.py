"""FE 3053: what the core system is to keep of people, in fields that the bank allows; only what has changed."""
