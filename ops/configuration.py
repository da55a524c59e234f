"""What the Airflow of one machine is told: `airflow.cfg` and secrets, under its AIRFLOW_HOME.

The file holds what differs from Airflow's defaults, and is written anew at each start. Secrets
are made once. An `AIRFLOW__SECTION__OPTION` in the environment wins, as everywhere in Airflow.
"""

from __future__ import annotations

import base64
import configparser
import json
import os
import secrets as randomness
import socket
from pathlib import Path

from include import lake

ROOT = Path(__file__).resolve().parents[1]
USER = "admin"

# Imported once by the process that workers are forked from, so that no task waits for them. Beside
# the first, only what other people wrote: our own modules are read by each task, so an edit counts
# at once.
PRELOAD = (
    "ops.preload",
    "airflow",
    "airflow.sdk",
    "airflow.executors.local_executor",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.providers.standard.decorators.python",
    "great_expectations",
    "duckdb",
    "duckdb_engine",
    "pandas",
    "pyarrow.parquet",
    "pydantic",
    "yaml",
    "requests",
    "openpyxl",
    "dbt.cli.main",
    "dbt.adapters.duckdb",
)


def home() -> Path:
    """AIRFLOW_HOME: everything that Airflow keeps, owner only."""
    return lake.private(lake.home() / "airflow")


def secrets() -> dict[str, str]:
    """Keys and the password of the local user, made at the first call and kept (mode 0600)."""
    path = home() / "secrets.json"
    if not path.exists():
        made = {
            "fernet_key": base64.urlsafe_b64encode(os.urandom(32)).decode(),
            "jwt_secret": randomness.token_urlsafe(48),
            "secret_key": randomness.token_urlsafe(48),
            "password": randomness.token_urlsafe(12),
        }
        write_private(path, json.dumps(made, indent=2) + "\n")
    return json.loads(path.read_text())


def write_private(path: Path, content: str) -> None:
    """Replace a file that only its owner may read, in one rename."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        handle.write(content)
    part.replace(path)


def free_port(wanted: int = 8080) -> int:
    """The wanted port if nobody listens there, else one that is free."""
    for port in (wanted, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return listener.getsockname()[1]
    raise OSError("no free port on 127.0.0.1")


def parallelism() -> int:
    """Tasks at a time. Two more than cores: fetching waits for the network."""
    return max(4, (os.cpu_count() or 2) + 2)


def pools() -> dict[str, tuple[int, str]]:
    """One pool for each thing that tasks would fight over: name to (slots, what it guards)."""
    return {
        "warehouse": (
            max(1, (os.cpu_count() or 2) // 2),
            "Builds at a time: dbt and DuckDB take every core they are given.",
        ),
        "publishers": (4, "Downloads at a time, out of courtesy to the publishers."),
    }


def settings(port: int) -> dict[str, dict[str, object]]:
    """`airflow.cfg`, section by section."""
    keys = secrets()
    url = f"http://127.0.0.1:{port}"
    return {
        "core": {
            "dags_folder": ROOT / "dags",
            "plugins_folder": ROOT / "plugins",
            "load_examples": False,
            "executor": "ops.executor.LocalExecutor",
            # More workers than tasks at a time: one that is done lingers up to a heartbeat before
            # it notices, and holds nobody up meanwhile.
            "parallelism": 2 * parallelism(),
            "max_active_tasks_per_dag": parallelism(),
            "mp_start_method": "forkserver",
            "mp_forkserver_preload": ",".join(PRELOAD),
            "dags_are_paused_at_creation": False,
            "fernet_key": keys["fernet_key"],
            "execution_api_server_url": f"{url}/execution/",
            "auth_manager": "airflow.api_fastapi.auth.managers.simple."
            "simple_auth_manager.SimpleAuthManager",
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": home() / "passwords.json",
            # A changed state's file shows in the UI at its next reading, not half a minute later.
            "min_serialized_dag_update_interval": 0,
            "default_task_retries": 0,
            "killed_task_cleanup_time": 5,
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{home() / 'airflow.db'}"},
        "api": {
            # A container binds every address and publishes the port to its host only.
            "host": os.environ.get("STATEWIDE_HOST") or "127.0.0.1",
            "port": port,
            "base_url": url,
            "workers": 1,
            "secret_key": keys["secret_key"],
            "instance_name": "Statewide",
            # What a page asks for is at most one state's whole run.
            "maximum_page_limit": 1000,
        },
        "api_auth": {"jwt_secret": keys["jwt_secret"]},
        "scheduler": {
            # Tasks here last about a second: looking for work every second would double them.
            "scheduler_idle_sleep_time": 0.1,
            "scheduler_heartbeat_sec": 2,
            "job_heartbeat_sec": 2,
            "max_tis_per_query": 32,
            "enable_health_check": False,
        },
        "dag_processor": {
            "parsing_processes": 1,
            "min_file_process_interval": 60,
            "refresh_interval": 60,
            "print_stats_interval": 0,
            # States come and go with their YAML, not with a file of their own.
            "stale_dag_threshold": 50,
        },
        "workers": {"min_heartbeat_interval": 1},
        "logging": {
            "base_log_folder": home() / "logs",
            "dag_processor_child_process_log_directory": home() / "logs" / "dag_processor",
            "colored_console_log": False,
        },
        "usage_data_collection": {"enabled": False},
    }


def write(port: int) -> Path:
    """Write `airflow.cfg` and the password file. Returns the path of the configuration."""
    parser = configparser.RawConfigParser()
    for section, options in settings(port).items():
        # Airflow interpolates: a percent sign stands for itself only when it is doubled.
        parser[section] = {name: str(it).replace("%", "%%") for name, it in options.items()}
    path = home() / "airflow.cfg"
    part = home() / f".airflow.cfg.{os.getpid()}.part"
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        parser.write(handle)
    part.replace(path)
    write_private(home() / "passwords.json", json.dumps({USER: secrets()["password"]}) + "\n")
    return path


def environment(marker: str) -> dict[str, str]:
    """The environment of Airflow's processes. `marker` finds them again, whoever outlives whom."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {
        "AIRFLOW_HOME": str(home()),
        "AIRFLOW_CONFIG": str(home() / "airflow.cfg"),
        "STATEWIDE_HOME": str(lake.home()),
        "STATEWIDE_INSTANCE": marker,
        # One machine runs what it is asked to. `make up SCHEDULES=on` keeps the states' calendars.
        "STATEWIDE_SCHEDULES": os.environ.get("STATEWIDE_SCHEDULES", "off"),
        "STATEWIDE_FETCH_RETRIES": os.environ.get("STATEWIDE_FETCH_RETRIES", "1"),
        "STATEWIDE_FETCH_RETRY_DELAY": os.environ.get("STATEWIDE_FETCH_RETRY_DELAY", "2"),
        "PYTHONPATH": path,
        "PYTHONUNBUFFERED": "1",
        # Processes of Airflow that rename themselves keep their environment, and with it the mark.
        "SPT_NOENV": "1",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "SCARF_ANALYTICS": "false",
        "DO_NOT_TRACK": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "GX_ANALYTICS_ENABLED": "false",
    }
