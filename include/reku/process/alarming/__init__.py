"""People are told by themselves of what needs them, once for each cause (docs/operations.md, "Alarms")."""
