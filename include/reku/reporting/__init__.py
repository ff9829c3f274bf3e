"""What came back goes to the core-banking system: numbered response files, each event once."""
