"""Subscriber lists: filled on by every delivery, never replaced; one open message per accepted row."""
