"""The tables of schema `reku`, a module for each part. Every table carries the institute (BLZ); times are UTC.

Closed vocabularies (`states`, `kinds`) are kept by CHECK constraints, so that no state can be invented elsewhere.
"""

from __future__ import annotations

from reku.store.tables.barred import barred_domains, reactivations, suppressions
from reku.store.tables.base import EVERY_INSTITUTE, SCHEMA, metadata
from reku.store.tables.by_hand import audit, stops
from reku.store.tables.delivered import deliveries, delivery_rows, metrics, rejects, releases, rule_counts
from reku.store.tables.emma import emma_cursors, emma_events
from reku.store.tables.feedback import (
    collections,
    feedback_counters,
    feedback_files,
    feedback_rows,
    hit_journals,
    hits,
    response_counts,
    responses,
    return_mails,
)
from reku.store.tables.hand_over import claims, dispatches, fences, rate_limits
from reku.store.tables.imported import (
    holdings,
    imported_appointments,
    imports,
    impulses,
    person_addresses,
    persons,
)
from reku.store.tables.intake import control_files, file_tries, files, lists, orders, osplus_orders
from reku.store.tables.ledger import appointments, contacts, messages, past_messages, subscribers
from reku.store.tables.prepared import prepared_files, prepared_rows, told_core_fields, told_in_bap
from reku.store.tables.selected import selected_rows, selections
from reku.store.tables.told import alarms, begun_runs, silences, task_failures
from reku.store.tables.vault import data_keys, person_numbers, pseudonym_keys

__all__ = [
    "EVERY_INSTITUTE",
    "SCHEMA",
    "alarms",
    "appointments",
    "audit",
    "barred_domains",
    "begun_runs",
    "claims",
    "collections",
    "contacts",
    "control_files",
    "data_keys",
    "deliveries",
    "delivery_rows",
    "dispatches",
    "emma_cursors",
    "emma_events",
    "feedback_counters",
    "feedback_files",
    "feedback_rows",
    "fences",
    "file_tries",
    "files",
    "hit_journals",
    "hits",
    "holdings",
    "imported_appointments",
    "imports",
    "impulses",
    "lists",
    "messages",
    "metadata",
    "metrics",
    "orders",
    "osplus_orders",
    "past_messages",
    "person_addresses",
    "person_numbers",
    "persons",
    "prepared_files",
    "prepared_rows",
    "pseudonym_keys",
    "rate_limits",
    "reactivations",
    "rejects",
    "releases",
    "response_counts",
    "responses",
    "return_mails",
    "rule_counts",
    "selected_rows",
    "selections",
    "silences",
    "stops",
    "subscribers",
    "suppressions",
    "task_failures",
    "told_core_fields",
    "told_in_bap",
]
