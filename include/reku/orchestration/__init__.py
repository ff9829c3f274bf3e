"""The only room that knows Airflow: occasion DAGs, their tasks and triggers, and what a run has to do on its day."""

from reku.foundation.private_files import keep_private

keep_private()  # whichever process of Airflow's imports anything of ours, a task's too
