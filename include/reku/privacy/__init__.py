"""What is kept of people, how long, and how somebody sees or has erased what is kept of them (docs/privacy.md)."""
