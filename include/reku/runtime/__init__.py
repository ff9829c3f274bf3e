"""The embedded set-up: a PostgreSQL of our own, Airflow's environment, and the supervisor of all processes."""
