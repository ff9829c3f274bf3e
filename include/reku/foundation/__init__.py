"""What every room stands on: settings, clock, errors, files, tokens. Knows no room."""
