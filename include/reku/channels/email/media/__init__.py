"""Media: compiled once for one institute, filled once per person, ready for SMTP."""
