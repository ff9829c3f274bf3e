"""Where the rows of a delivery come from: one folder per core-banking system."""
