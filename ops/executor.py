"""Airflow's LocalExecutor, with its workers' heavy imports under way before the first task."""

from multiprocessing import forkserver, get_start_method

from airflow.executors import local_executor


class LocalExecutor(local_executor.LocalExecutor):
    """Starts the fork server (`[core] mp_forkserver_preload`) with the scheduler.

    Left to itself it starts with the first task, which then waits for Great Expectations and dbt
    to be imported while the other cores have nothing to do.
    """

    def start(self) -> None:
        if get_start_method() == "forkserver":
            forkserver.ensure_running()
        super().start()
