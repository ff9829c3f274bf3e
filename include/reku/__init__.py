"""Everything between a core-banking system's selection and its feedback, one room per stage.

Rooms, in the order data flows: catalogue, records, store, intake, quality, subscribers, contact, mailing,
responses, feedback; orchestration is the only one that knows Airflow. docs/architecture.md draws the arrows.
"""
