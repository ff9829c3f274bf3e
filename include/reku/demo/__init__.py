"""`make demo`: three days of two savings banks on real Airflow, with real mails, responses and response files."""

from reku.demo.run import main

__all__ = ["main"]
