"""`make demo`: three days of three banks on real Airflow, with real mails, responses and files for the core banks."""

from reku.demo.run import main

__all__ = ["main"]
