"""Letters: set as one PDF for each delivery, which somebody of the bank fetches, prints and posts."""
