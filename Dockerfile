# One image for all of our processes; which one runs is the command of docker-compose.yaml.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 \
    AIRFLOW_HOME=/opt/airflow \
    GX_ANALYTICS_ENABLED=false

RUN useradd --create-home --uid 10001 reku \
    && install -d -m 700 -o reku -g reku /opt/airflow /opt/airflow/config /opt/airflow/logs /data /var/lib/reku/journal /var/lib/reku/tracker

WORKDIR /opt/reku
COPY requirements.txt ./
# pip compiles bytecode by itself; without it every process would need seconds more to start.
RUN pip install --no-cache-dir -r requirements.txt

COPY pyproject.toml ./
COPY include include
COPY dags dags
COPY plugins plugins
# Editable, so that the package finds include/, dags/ and plugins/ where they are in a checkout too.
RUN pip install --no-cache-dir --no-deps -e . && python -m compileall -q include \
    # Task processes are forks: the heavy imports are loaded once in the process they come from.
    && printf 'import reku.runtime.preload\n\n__all__ = []\n' > /opt/airflow/config/airflow_local_settings.py

USER reku
# What any of the processes writes is for this account alone.
ENTRYPOINT ["/bin/sh", "-c", "umask 077; exec \"$@\"", "--"]
CMD ["airflow", "version"]
