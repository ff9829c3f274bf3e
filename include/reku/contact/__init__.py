"""Who may be contacted now, and if not, why: one place that decides, right when a message is claimed."""
