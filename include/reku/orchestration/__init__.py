"""The only room that knows Airflow: occasion DAGs, their tasks and triggers, and what a run has to do on its day."""
