"""Our pages on Airflow's own server: rendered here, complete without any script, for whom Airflow lets see them."""
