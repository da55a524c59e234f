"""Airflow on several machines: each of its processes, told what it needs and no more.

    python -m ops.deployment env                     a file of settings, its secrets random
    python -m ops.deployment split FILE FOLDER       that file as one for each process, for systemd
    python -m ops.deployment check                   whether the settings are fit to start on
    python -m ops.deployment prepare                 database, roles, pools, the first user
    python -m ops.deployment buckets                 the buckets that lake and releases are in
    python -m ops.deployment healthy COMPONENT       whether one does its work: for health checks
    python -m ops.deployment forget [DAYS]           Airflow forgets runs of more than 400 days ago
    python -m ops.deployment airflow ...             Airflow's own command line
    python -m ops.deployment api-server | scheduler | dag-processor | triggerer | worker | view

Containers (`docker-compose.yaml`), systemd (`deploy/systemd/`) and the test of the topology all
start their processes with this. Settings come from the environment; a process that misses a secret,
or was given one that anybody could guess, does not start. What a process does not need is taken
out of its environment: a worker, which runs the state's files through code, cannot read Airflow's
database, and what people talk to has neither the key of the identifiers nor the lake.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets as randomness
import socket
import sys
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from include import identifiers, lake
from ops import configuration, forget

ROOT = Path(__file__).resolve().parents[1]
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
CELERY = "airflow.providers.celery.executors.celery_executor.CeleryExecutor"
SHORTEST = 16
# Roles of people, as FAB ships them: see docs/operating.md for who may do what.
ROLES = ("Admin", "Op", "Viewer")


class Unfit(ValueError):
    """Settings that must not be started on. Names each, what is wrong with it and what to do."""


@dataclass(frozen=True)
class Setting:
    """One setting of the environment: what it is, who needs it, whether nobody may know it."""

    name: str
    meaning: str
    used_by: frozenset[str]
    secret: bool = False
    default: str | None = None


DATABASE_USERS = frozenset({"prepare", "api-server", "scheduler", "dag-processor", "triggerer"})
LAKE_USERS = frozenset({"worker", "view", "buckets"})
EVERYBODY = DATABASE_USERS | LAKE_USERS
COMPONENTS = sorted(EVERYBODY)

SETTINGS = (
    Setting(
        "STATEWIDE_DATABASE", "PostgreSQL of Airflow's runs: user@host:port/database",
        DATABASE_USERS,
    ),
    Setting("STATEWIDE_DATABASE_PASSWORD", "its password", DATABASE_USERS, secret=True),
    Setting(
        "STATEWIDE_BROKER", "Redis that carries tasks to workers: host:port/number",
        frozenset({"scheduler", "worker"}),
    ),
    Setting(
        "STATEWIDE_BROKER_PASSWORD", "its password", frozenset({"scheduler", "worker"}),
        secret=True,
    ),
    Setting("STATEWIDE_API", "where processes find the api-server: http://host:port", EVERYBODY),
    Setting(
        "STATEWIDE_BASE_URL", "where people find it; https if it is not this machine",
        DATABASE_USERS | {"worker"},
    ),
    Setting(
        "STATEWIDE_FERNET_KEY", "encrypts connections and variables; new,old while it is rotated",
        DATABASE_USERS, secret=True,
    ),
    Setting(
        "STATEWIDE_JWT_SECRET", "signs the tokens of people and of tasks",
        frozenset({"prepare", "api-server", "scheduler", "dag-processor", "triggerer"}),
        secret=True,
    ),
    Setting(
        "STATEWIDE_SECRET_KEY", "signs sessions, and who may read a worker's logs", EVERYBODY
        - {"view", "buckets"}, secret=True,
    ),
    Setting(
        "STATEWIDE_ADMIN_PASSWORD", "of the first user, admin", frozenset({"prepare"}),
        secret=True,
    ),
    Setting(
        identifiers.VARIABLE, "names students and staff in the lake; lost, nobody is found again",
        LAKE_USERS, secret=True,
    ),
    Setting("STATEWIDE_LAKE", "s3://bucket/prefix: private, it names people", LAKE_USERS),
    Setting(
        "STATEWIDE_PUBLISH", "s3://bucket/prefix of releases; may be empty", LAKE_USERS, default=""
    ),
    Setting(
        "STATEWIDE_S3_ENDPOINT", "S3 that is not Amazon's; may be empty", LAKE_USERS, default=""
    ),
    Setting("AWS_ACCESS_KEY_ID", "who we are in S3", LAKE_USERS),
    Setting("AWS_SECRET_ACCESS_KEY", "its secret", LAKE_USERS, secret=True),
)  # fmt: skip

# What installation guides print, and with it everybody knows.
KNOWN = {
    "admin", "airflow", "password", "postgres", "redis", "secret", "changeme", "change-me",
    "temporary_key", "airflow_jwt_secret", "minioadmin", "statewide",
    "81HqDtbqAywKSOumSha3BhWNOdQ26slT6K0YaZeZyPs=", "46BKJoQYlPPOexq0OhDZnIlNepKFf87WFwLbfzqDDho=",
}  # fmt: skip


def problems(settings: Mapping[str, str], component: str) -> list[str]:
    """What is wrong with the settings that one component needs; never shows a secret."""
    found, seen = [], {}
    for setting in SETTINGS:
        if component not in setting.used_by:
            continue
        value = settings.get(setting.name, "").strip()
        if not value:
            if setting.default is None:
                found.append(f"{setting.name} is not set: {setting.meaning}")
            continue
        if not setting.secret:
            continue
        if {it.lower() for it in value.split(",")} & {known.lower() for known in KNOWN}:
            found.append(f"{setting.name} is a value that everybody knows")
        elif len(value) < SHORTEST or len(set(value)) < 8:
            found.append(f"{setting.name} can be guessed: it needs {SHORTEST} random characters")
        if (other := seen.setdefault(value, setting.name)) != setting.name:
            found.append(f"{setting.name} is the same as {other}: who learns one has both")
    if component in DATABASE_USERS:
        for key in filter(None, settings.get("STATEWIDE_FERNET_KEY", "").split(",")):
            if not _is_fernet(key):
                found.append("STATEWIDE_FERNET_KEY is not 32 bytes in url-safe base64")
    if component in LAKE_USERS and 0 < len(settings.get(identifiers.VARIABLE, "").encode()) < 32:
        found.append(f"{identifiers.VARIABLE} is shorter than {identifiers.SHORTEST} bytes")
    url = urllib.parse.urlsplit(settings.get("STATEWIDE_BASE_URL", ""))
    if component == "api-server" and url.scheme == "http" and not _is_local(url.hostname):
        found.append(
            "STATEWIDE_BASE_URL is http, and not of this machine: passwords would travel in the "
            "clear; put TLS before it and say https"
        )
    return found


def require_fit(settings: Mapping[str, str], component: str) -> None:
    """Raises Unfit unless one component may be started on these settings."""
    if found := problems(settings, component):
        told = "\n".join(f"  {problem}" for problem in found)
        raise Unfit(
            f"{component} is not started:\n{told}\n"
            "`make env` writes a file of settings whose secrets are random"
        )


def environment(settings: Mapping[str, str], component: str) -> dict[str, str]:
    """The whole environment of one component. Raises Unfit."""
    require_fit(settings, component)
    kept = {name: value for name, value in settings.items() if not _is_of_others(name, component)}
    # What is named as Airflow names it wins, as everywhere in Airflow.
    return _airflow(settings, component) | kept | {
        "AIRFLOW_HOME": settings.get("AIRFLOW_HOME") or str(lake.machine() / "airflow"),
        "STATEWIDE_HOME": str(lake.machine()),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "SCARF_ANALYTICS": "false",
        "DO_NOT_TRACK": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "GX_ANALYTICS_ENABLED": "false",
    }  # fmt: skip


def _airflow(settings: Mapping[str, str], component: str) -> dict[str, str]:
    told: dict[str, object] = {
        "CORE__DAGS_FOLDER": ROOT / "dags",
        "CORE__PLUGINS_FOLDER": ROOT / "plugins",
        "CORE__LOAD_EXAMPLES": False,
        "CORE__EXECUTOR": CELERY,
        "CORE__AUTH_MANAGER": FAB,
        "CORE__PARALLELISM": 64,
        "CORE__MAX_ACTIVE_TASKS_PER_DAG": 16,
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": True,
        "CORE__EXECUTION_API_SERVER_URL": f"{settings['STATEWIDE_API'].rstrip('/')}/execution/",
        "CORE__HOSTNAME_CALLABLE": "ops.deployment.hostname",
        "API__HOST": settings.get("STATEWIDE_HOST") or "0.0.0.0",
        "API__PORT": urllib.parse.urlsplit(settings["STATEWIDE_API"]).port or 8080,
        "API__INSTANCE_NAME": "Statewide",
        "API__EXPOSE_CONFIG": False,
        "API__ENABLE_SWAGGER_UI": False,
        "API_AUTH__JWT_EXPIRATION_TIME": 12 * 3600,
        "FAB__AUTH_RATE_LIMITED": True,
        "FAB__SESSION_LIFETIME_MINUTES": 12 * 60,
        # A worker whose machine is gone is given up after this, and its tasks run elsewhere.
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 120,
        "SCHEDULER__ENABLE_HEALTH_CHECK": True,
        "LOGGING__COLORED_CONSOLE_LOG": False,
        "USAGE_DATA_COLLECTION__ENABLED": False,
        # A file of a state may be added without any DAG file changing.
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 60,
        "DAG_PROCESSOR__STALE_DAG_THRESHOLD": 50,
        "CELERY__WORKER_PREFETCH_MULTIPLIER": 1,
        "CELERY__TASK_ACKS_LATE": True,
        "CELERY__WORKER_CONCURRENCY": settings.get("STATEWIDE_CONCURRENCY") or 4,
        # Longer than any task: Redis hands a task to another worker when it is up.
        "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": 24 * 3600,
    }
    if component in DATABASE_USERS:
        password = urllib.parse.quote(settings["STATEWIDE_DATABASE_PASSWORD"], safe="")
        place = settings["STATEWIDE_DATABASE"].replace("@", f":{password}@", 1)
        told |= {
            "DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{place}",
            "CORE__FERNET_KEY": settings["STATEWIDE_FERNET_KEY"],
            "API_AUTH__JWT_SECRET": settings["STATEWIDE_JWT_SECRET"],
            "FAB__COOKIE_SECURE": settings["STATEWIDE_BASE_URL"].startswith("https:"),
        }
    if component in DATABASE_USERS | {"worker"}:
        # What is written to people has links.
        told["API__BASE_URL"] = settings["STATEWIDE_BASE_URL"]
        told["API__SECRET_KEY"] = settings["STATEWIDE_SECRET_KEY"]
    if component in ("scheduler", "worker"):
        password = urllib.parse.quote(settings["STATEWIDE_BROKER_PASSWORD"], safe="")
        broker = f"redis://:{password}@{settings['STATEWIDE_BROKER']}"
        told |= {
            "CELERY__BROKER_URL": broker,
            # Airflow's own state says how a task ended; Celery's is read within seconds. So workers
            # need no way into the database.
            "CELERY__RESULT_BACKEND": broker,
        }
    if component == "worker":
        # Read once by the process that tasks are forked from, so that no task waits for them.
        imports = [it for it in configuration.PRELOAD if not it.startswith(("ops.", "airflow"))]
        told["CELERY__EXTRA_CELERY_CONFIG"] = json.dumps({"imports": imports})
    return {f"AIRFLOW__{name}": str(value) for name, value in told.items()}


def _is_of_others(name: str, component: str) -> bool:
    """Whether a variable is a setting that this component has no business with."""
    setting = next((it for it in SETTINGS if it.name == name), None)
    return setting is not None and (component not in setting.used_by or _is_translated(setting))


def _is_translated(setting: Setting) -> bool:
    """Whether Airflow knows it under a name of its own; then no task sees it under ours."""
    lakes = (identifiers.VARIABLE, "AWS_SECRET_ACCESS_KEY")
    return setting.secret and setting.name not in (*lakes, "STATEWIDE_ADMIN_PASSWORD")


def _is_fernet(key: str) -> bool:
    try:
        return len(base64.b64decode(key.encode(), altchars=b"-_", validate=True)) == 32
    except ValueError:
        return False


def _is_local(host: str | None) -> bool:
    return host in ("localhost", "127.0.0.1", "::1")


def hostname() -> str:
    """The name under which other machines reach this one; workers serve their logs by it."""
    return os.environ.get("STATEWIDE_HOSTNAME") or socket.getfqdn()


# ----------------------------------------------------------------------------------- getting ready


def prepare() -> None:
    """Create or upgrade the database, its roles and pools, and the first user if there is none."""
    import subprocess

    for command in (["db", "migrate"], ["fab-db", "migrate"], ["sync-perm"]):
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *command], capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"airflow {' '.join(command)} failed:\n{done.stderr[-3000:]}")
    for name, (slots, purpose) in configuration.pools().items():
        if _pool_is_there(name):
            continue  # an operator's own number of slots is kept
        subprocess.run(
            [sys.executable, "-m", "airflow", "pools", "set", name, str(slots), purpose],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    create_user("admin", "Admin", os.environ["STATEWIDE_ADMIN_PASSWORD"])
    print("the database is ready")


def make_buckets() -> None:
    """Create the buckets of lake and releases where they are not there yet; private, both."""
    from include.object_store import ObjectStore

    for setting in ("STATEWIDE_LAKE", "STATEWIDE_PUBLISH"):
        if told := os.environ.get(setting):
            made = ObjectStore(told, setting).make_bucket()
            print(f"{told}: {'made' if made else 'is there'}")


def is_healthy(component: str) -> bool:
    """Whether a component of this machine does its work, as far as can be told in a moment."""
    import urllib.request

    def answer(url: str) -> dict:
        with urllib.request.urlopen(url, timeout=10) as told:
            return json.loads(told.read())

    if component == "view":
        return time.time() - (lake.machine() / "viewed").stat().st_mtime < 300
    if component == "worker":
        return _worker_answers()
    if component == "scheduler":
        return answer("http://127.0.0.1:8974/health")["scheduler"]["status"] == "healthy"
    told = answer(f"{os.environ['STATEWIDE_API'].rstrip('/')}/api/v2/monitor/health")
    name = {"api-server": "metadatabase", "dag-processor": "dag_processor"}.get(component)
    return told[name or component]["status"] == "healthy"


def _told_of_health(component: str) -> int:
    """Exit code of a health check; whatever goes wrong while asking is no health either."""
    try:
        found = is_healthy(component)
    except (OSError, ValueError, KeyError) as error:
        print(f"{component} does not answer: {error}", file=sys.stderr)
        return 1
    return 0 if found else 1


def _worker_answers() -> bool:
    """Whether the worker of this machine answers through Redis."""
    from celery import Celery

    broker = _airflow(os.environ, "worker")["AIRFLOW__CELERY__BROKER_URL"]
    name = f"celery@{_worker_name()}"
    return bool(Celery(broker=broker).control.ping(destination=[name], timeout=10))


def _pool_is_there(name: str) -> bool:
    from airflow.models.pool import Pool

    return Pool.get_pool(name) is not None


def create_user(name: str, role: str, password: str, email: str | None = None) -> bool:
    """Create a user who logs in with a password. Returns whether there was none of that name.

    In this process, and not by a command: what is on a command line, others on the machine can see.
    """
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        people = builder.sm
        if people.find_user(username=name):
            return False
        made = people.add_user(
            name, name.capitalize(), "-", email or f"{name}@localhost", people.find_role(role),
            password,
        )  # fmt: skip
        if not made:
            raise SystemExit(f"the user {name} could not be made")
    return True


# --------------------------------------------------------------------------------------- settings


def made_settings(address: str = "http://localhost:8080") -> dict[str, str]:
    """Settings for `docker-compose.yaml` whose secrets nobody knows."""
    told = {
        "STATEWIDE_BASE_URL": address,
        "STATEWIDE_LAKE": "s3://statewide-lake/lake",
        "STATEWIDE_PUBLISH": "s3://statewide-releases/published",
        "AWS_ACCESS_KEY_ID": f"statewide-{randomness.token_hex(6)}",
    }
    for setting in SETTINGS:
        if setting.secret:
            told[setting.name] = randomness.token_urlsafe(36)
    told["STATEWIDE_FERNET_KEY"] = base64.urlsafe_b64encode(os.urandom(32)).decode()
    return told


def write_settings(path: Path) -> None:
    """Write a new file of settings, owner only. Raises FileExistsError: keys are not made twice."""
    meanings = {setting.name: setting.meaning for setting in SETTINGS}
    lines = [
        "# Settings of docker-compose.yaml. Who reads this file can read everything: keep it to",
        f"# its owner, and a copy of {identifiers.VARIABLE} somewhere else.",
    ]
    for name, value in made_settings().items():
        lines += [f"# {meanings[name]}", f"{name}={value}"]
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write("\n".join(lines) + "\n")


def split_settings(source: Path, folder: Path) -> None:
    """Write `<folder>/<component>.env`, owner only, with what each component needs of a file."""
    lines = [line for line in source.read_text().splitlines() if "=" in line]
    told = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for component in COMPONENTS:
        known = {it.name: it for it in SETTINGS}
        kept = [
            f"{name}={value}"
            for name, value in told.items()
            if name not in known or component in known[name].used_by
        ]
        configuration.write_private(folder / f"{component}.env", "\n".join([*kept, ""]))


def main(arguments: list[str] | None = None) -> int:
    """Run one command. An airflow process takes this one's place."""
    told = sys.argv[1:] if arguments is None else arguments
    known = ("env", "split", "check", "healthy", "forget", "airflow", *COMPONENTS)
    if not told or told[0] not in known:
        print(f"say one of: {', '.join(known)}", file=sys.stderr)
        return 2
    component, more = told[0], told[1:]
    try:
        if component == "env":
            path = Path(more[0] if more else ".env")
            write_settings(path)
            print(f"{path} is written; only you can read it")
            return 0
        if component == "split":
            split_settings(Path(more[0]), Path(more[1]))
            print(f"one file for each process is in {more[1]}; give each machine its own only")
            return 0
        if component == "check":
            found = sorted({it for name in COMPONENTS for it in problems(os.environ, name)})
            print("\n".join(found) or "the settings are fit to start on")
            return 1 if found else 0
        if component == "healthy":
            return _told_of_health(more[0])
        if component == "forget":
            # Tasks may not touch Airflow's database, so none of them can do this.
            component, more = "airflow", forget.command(*map(float, more))
        # Its command line is for whoever may do anything.
        made = environment(os.environ, "prepare" if component == "airflow" else component)
    except FileExistsError as error:
        print(f"{error.filename} is there already, and its keys may be in use", file=sys.stderr)
        return 1
    except Unfit as error:
        print(error, file=sys.stderr)
        return 1
    lake.private(Path(made["AIRFLOW_HOME"]))
    if component == "prepare" and made.get("STATEWIDE_PREPARING") != "now":
        command = [sys.executable, "-m", "ops.deployment", "prepare"]
        os.execve(sys.executable, command, made | _again(os.environ))
    if component == "prepare":
        prepare()
        return 0
    if component == "buckets":
        make_buckets()
        return 0
    command = _command(component)
    os.chdir(ROOT)
    os.execve(sys.executable, [sys.executable, *command, *more], made)
    raise AssertionError("unreachable")


def _worker_name() -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "-", hostname())


def _again(settings: Mapping[str, str]) -> dict[str, str]:
    """`prepare` imports Airflow, which reads its configuration when it is imported."""
    ours = {it.name: settings.get(it.name, "") for it in SETTINGS if "prepare" in it.used_by}
    return ours | {"STATEWIDE_PREPARING": "now"}


def _command(component: str) -> list[str]:
    if component == "view":
        return ["-m", "include.shared_lake", "view", "--every", "60"]
    if component == "airflow":
        return ["-m", "airflow"]
    if component == "worker":
        # What workers would tell each other is asked of nobody.
        return [
            "-m", "airflow", "celery", "worker", "--celery-hostname", _worker_name(),
            "--without-mingle", "--without-gossip",
        ]  # fmt: skip
    return ["-m", "airflow", component]


if __name__ == "__main__":
    sys.exit(main())
