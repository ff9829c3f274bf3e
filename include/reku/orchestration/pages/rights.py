"""Who may see and do what: Airflow's own auth manager is asked, for the DAG that it is about."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.models.dag import DagModel
from fastapi import HTTPException

from reku.catalogue import occasions
from reku.orchestration.names import dag_id

OF_ALL = "reku_intake"
"""Whoever may see this DAG is told of what concerns no single occasion; whoever may clear its tasks may act on it."""
OF_THE_SYSTEM = (
    OF_ALL,
    "reku_agree21_files",
    "reku_agree21_import",
    "reku_alarms",
    "reku_collect",
    "reku_emma",
    "reku_feedback",
    "reku_housekeeping",
)
"""The DAGs that belong to no occasion."""


def dag_of(occasion: str) -> str:
    """The DAG whose rights count: the occasion's, if it is known here."""
    return dag_id(occasion) if occasion in occasions() else OF_ALL


def visible_dags(user: BaseUser) -> Collection[str]:
    """Those of our DAGs that this person may see. Raises HTTPException 403 if there are none."""
    known = {*OF_THE_SYSTEM, *map(dag_id, occasions())}
    allowed: Collection[str] = get_auth_manager().filter_authorized_dag_ids(dag_ids=known, user=user)
    if not allowed:
        raise HTTPException(403)
    return allowed


class Rights:
    """What one person may do, each DAG asked about once."""

    def __init__(self, user: BaseUser) -> None:
        self._user = user
        self.may_act = cache(self._may_act)

    def _may_act(self, dag: str) -> bool:
        """Whether they may clear tasks of the DAG: then they may do what comes to the same."""
        details = DagDetails(id=dag, team_name=DagModel.get_team_name(dag))
        return bool(
            get_auth_manager().is_authorized_dag(
                method="PUT", access_entity=DagAccessEntity.TASK_INSTANCE, details=details, user=self._user
            )
        )


def name_of(user: BaseUser) -> str:
    """Who it is, for the audit."""
    return str(user.get_name() or user.get_id())
