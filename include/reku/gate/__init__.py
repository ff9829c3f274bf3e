"""The gate: which rows of a delivery may become messages, and whether the file is taken at all."""
