"""The Airflow of one machine: started by whoever needs it first, stopped when nobody does.

    airflow/start.lock        held while Airflow is being started or looked for
    airflow/users.lock        held (shared) by every command that uses it
    airflow/supervisor.lock   held by the supervisor for as long as it lives
    airflow/instance.json     address and age of the one that runs
    airflow/keep              `make up` was said: stay, though nobody uses it

Users are counted by file locks, which the kernel frees however a process ends, so a killed
command leaves no count behind. The supervisor is the parent of Airflow's processes: it ends them
when the last user has gone, or when one of them dies; they end with it. What a killed supervisor
leaves all the same is found by a mark in its environment and ended at the next start, and the runs
that were under way are marked failed, so that they hold back none that come later.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from include import lake
from ops import configuration
from ops.client import Client, Refused, Unreachable
from ops.mortality import adopt_orphans, end_with_parent

# What the processes were started with and cannot be told later: everything but what a run is told
# itself, and what is of the instance.
SETTINGS = ("STATEWIDE_", "AWS_")
NOT_INHERITED = (
    "STATEWIDE_HOME",
    "STATEWIDE_EXTRACTS",
    "STATEWIDE_PORT",
    "STATEWIDE_HOST",
    "STATEWIDE_INSTANCE",
    "STATEWIDE_TEST_DATA",
)
PATIENCE = 180
COMPONENTS = {
    "api-server": ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
}
TRIGGERER = ["triggerer", "--skip-serve-logs"]


class CannotStart(RuntimeError):
    """Airflow did not come up. Names the log to read."""


class PortTaken(CannotStart):
    """Another process got the port first."""


class Conflict(RuntimeError):
    """An Airflow is running on this home that was started in another way."""


def _file(name: str) -> Path:
    return configuration.home() / name


@contextmanager
def _held(name: str, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    with _file(name).open("a") as handle:
        fcntl.flock(handle, how)
        yield


def _is_free(name: str) -> bool:
    with _file(name).open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def running() -> dict | None:
    """The record of the Airflow that runs on this home, if one does."""
    path = _file("instance.json")
    if not path.exists() or _is_free("supervisor.lock"):
        return None
    return json.loads(path.read_text())


def client(told: dict) -> Client:
    """Speaks to a running Airflow as its local user."""
    return Client(
        f"http://127.0.0.1:{told['port']}",
        configuration.USER,
        configuration.secrets()["password"],
    )


def is_kept() -> bool:
    """Whether `make up` was said: Airflow stays when the commands that use it have ended."""
    return _file("keep").exists()


@contextmanager
def using() -> Iterator[Client]:
    """Airflow, for as long as the block lasts: the one that runs, else one that is started.

    Raises CannotStart or Conflict.
    """
    with _file("users.lock").open("a") as mine:
        with _held("start.lock"):
            # Waits here while a supervisor that had no users left is ending its processes.
            fcntl.flock(mine, fcntl.LOCK_SH)
            told = running()
            if told is None:
                _file("keep").unlink(missing_ok=True)
                told = start()
            _agree(told)
        try:
            yield client(told)
        finally:
            mine.close()
            _wait_unless_used()


def _wait_unless_used() -> None:
    """Wait until Airflow has ended, unless it was told to stay or others go on using it."""
    while not _is_free("supervisor.lock") and not _file("keep").exists():
        if not _is_free("users.lock") and not _is_stopping():
            return
        time.sleep(0.1)


def _is_stopping() -> bool:
    return _file("stopping").exists()


def _agree(told: dict) -> None:
    if told["root"] != str(configuration.ROOT):
        raise Conflict(
            f"{lake.home()} is in use by the checkout at {told['root']}; stop that one "
            "(make down), or name another STATEWIDE_HOME"
        )
    mine = inherited(os.environ)
    if other := sorted(name for name in mine if mine[name] != told["inherited"].get(name)):
        raise Conflict(
            f"Airflow is running on {lake.home()} with another {', '.join(other)}, which it cannot "
            "be told now; run `make down` and try again"
        )


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What Airflow's processes take from an environment, as hashes: some of it is secret."""
    return {
        name: lake.digest(value)[:16]
        for name, value in environment.items()
        if name.startswith(SETTINGS) and name not in NOT_INHERITED
    }


def start() -> dict:
    """Start Airflow. The caller holds `start.lock`. Returns the record, once it answers."""
    end_leftovers()
    marker = f"{lake.home()}:{uuid.uuid4()}"
    environment = configuration.environment(marker)
    configuration.write(0)
    prepare_database(environment)
    fail_abandoned_runs()
    wanted = int(os.environ.get("STATEWIDE_PORT") or 8080)
    for port in (wanted, 0, 0):
        told = {
            "port": configuration.free_port(port),
            "root": str(configuration.ROOT),
            "started": datetime.now(UTC).isoformat(),
            "inherited": inherited(environment),
        }
        supervisor = _supervised(told, environment)
        try:
            _wait_until_it_answers(supervisor, client(told))
            _make_pools(client(told))
            return told
        except BaseException as error:
            _end(supervisor)
            if not isinstance(error, PortTaken):
                raise
    raise CannotStart(f"no port of this machine stays free:\n{last_words()}")


def _supervised(told: dict, environment: dict[str, str]) -> subprocess.Popen:
    """Start the supervisor of an Airflow at this address."""
    configuration.write(told["port"])
    _file("stopping").unlink(missing_ok=True)
    with (lake.private(_file("logs")) / "supervisor.log").open("ab") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "ops.instance", "serve"],
            cwd=configuration.ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    lake.write_json(_file("instance.json"), told | {"pid": supervisor.pid})
    return supervisor


def _wait_until_it_answers(supervisor: subprocess.Popen, speaker: Client) -> None:
    """Raises CannotStart; PortTaken where another's Airflow or server is what answers."""
    patience = time.monotonic() + PATIENCE
    while True:
        try:
            if speaker.health()["metadatabase"]["status"] == "healthy":
                speaker.get("pools", limit=1)  # only ours knows the password
                return
        except Unreachable:
            pass
        except (Refused, ValueError, KeyError, TypeError):
            raise PortTaken(speaker.url) from None
        if supervisor.poll() is not None:
            log = (_file("logs") / "api-server.log").read_text(errors="replace")
            if "address already in use" in log:
                raise PortTaken(speaker.url)
            raise CannotStart(f"Airflow ended while it was starting:\n{last_words()}")
        if time.monotonic() > patience:
            raise CannotStart(f"Airflow did not answer in {PATIENCE} s:\n{last_words()}")
        time.sleep(0.1)


def _end(supervisor: subprocess.Popen) -> None:
    """End an Airflow that is not to be used after all."""
    supervisor.terminate()
    try:
        supervisor.wait(timeout=30)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()
    end_leftovers()


def last_words() -> str:
    """The end of the log of whichever component wrote an error last."""
    told = []
    for path in sorted(_file("logs").glob("*.log")):
        lines = path.read_text(errors="replace").splitlines()[-8:]
        told.append("\n".join([f"{path}:", *(f"    {line[:300]}" for line in lines)]))
    return "\n".join(told)


def _make_pools(speaker: Client) -> None:
    known = {pool["name"] for pool in speaker.get("pools", limit=1000)["pools"]}
    for name, (slots, purpose) in configuration.pools().items():
        if name not in known:  # an operator's own number of slots is kept
            speaker.post("pools", {"name": name, "slots": slots, "description": purpose})


def connection() -> str:
    """Where Airflow keeps its runs, as SQLAlchemy names it."""
    default = configuration.settings(0)["database"]["sql_alchemy_conn"]
    return os.environ.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN") or str(default)


def prepare_database(environment: dict[str, str]) -> None:
    """Create or upgrade Airflow's tables, unless this version has done so already."""
    wanted = json.dumps([version("apache-airflow-core"), connection()])
    stamp = _file("migrated")
    database = configuration.home() / "airflow.db"
    own = connection() == f"sqlite:///{database}"
    if stamp.exists() and stamp.read_text() == wanted and (database.exists() or not own):
        return
    fresh = own and not database.exists()
    part = configuration.home() / ".airflow.db.part"
    if fresh:  # under another name until it is whole: a killed set-up must not look like a database
        for leftover in configuration.home().glob(".airflow.db.part*"):
            leftover.unlink()
        environment = environment | {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{part}"}
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=environment,
        cwd=configuration.ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise CannotStart(f"Airflow's database could not be made:\n{(done.stderr or '')[-2000:]}")
    if fresh:
        with sqlite3.connect(part) as database_connection:
            database_connection.execute("pragma wal_checkpoint(truncate)")
        database_connection.close()
        part.replace(database)
        for leftover in configuration.home().glob(".airflow.db.part*"):
            leftover.unlink()
    configuration.write_private(stamp, wanted)


def fail_abandoned_runs() -> int:
    """Mark as failed what a scheduler that is gone left unfinished. Returns how many runs.

    No scheduler may be running. Without this a run that nobody works on would count against
    `max_active_runs` for ever. A database that others may share is left alone.
    """
    if connection() != f"sqlite:///{configuration.home() / 'airflow.db'}":
        return 0

    import sqlalchemy as sa

    unfinished = {
        "task_instance": [
            "running",
            "queued",
            "scheduled",
            "restarting",
            "up_for_retry",
            "up_for_reschedule",
            "deferred",
        ],
        "dag_run": ["running", "queued"],
    }
    engine = sa.create_engine(connection())
    count = 0
    with engine.begin() as transaction:
        for name, states in unfinished.items():
            table = sa.table(name, sa.column("state"), sa.column("end_date", sa.DateTime))
            count = transaction.execute(
                sa.update(table)
                .where(table.c.state.in_(states))
                .values(state="failed", end_date=datetime.now(UTC))
            ).rowcount
    engine.dispose()
    return count


def leftovers() -> list[psutil.Process]:
    """Processes of an Airflow on this home, this process and its ancestors aside."""
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            mark = process.environ().get("STATEWIDE_INSTANCE", "")
        except (psutil.Error, OSError):
            continue
        if process.pid not in mine and mark.startswith(f"{lake.home()}:"):
            found.append(process)
    return found


def end_leftovers() -> None:
    """End the processes that a killed supervisor left."""
    for _ in range(20):
        processes = leftovers()
        if not processes:
            return
        for process in processes:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass
        psutil.wait_procs(processes, timeout=1)
    raise CannotStart(f"processes of an earlier Airflow do not end: {leftovers()}")


# ---- the supervisor, a process of its own ----------------------------------------------------


# Kept, so that nothing but `_reap` waits for them.
_components: list[subprocess.Popen] = []


def _spawn(name: str, arguments: list[str]) -> int:
    log = _file("logs") / f"{name}.log"
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    with log.open("wb") as output:
        component = subprocess.Popen(
            [sys.executable, "-m", "airflow", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=configuration.ROOT,
            preexec_fn=end_with_parent,
        )
    _components.append(component)
    return component.pid


def _reap() -> dict[int, int]:
    """Children that ended, ours and those we inherited, with their exit codes."""
    ended = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = os.waitstatus_to_exitcode(status)


def _has_children() -> bool:
    """Reap, and say whether any child is left. A big process takes a moment to go."""
    _reap()
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def serve() -> int:
    """Run Airflow's processes until nobody uses them. Returns the exit code."""
    adopt_orphans()
    asked_to_stop = []
    signal.signal(signal.SIGTERM, lambda *_: asked_to_stop.append(True))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with _held("supervisor.lock"), _file("users.lock").open("a") as users:
        pids = {_spawn(name, arguments): name for name, arguments in COMPONENTS.items()}
        code = 0
        while not asked_to_stop:
            time.sleep(0.25)
            if dead := {pid: status for pid, status in _reap().items() if pid in pids}:
                for pid, status in dead.items():
                    print(f"{pids.pop(pid)} ended with {status}; stopping", flush=True)
                code = 1
                break
            if _file("keep").exists():
                if "triggerer" not in pids.values():
                    pids[_spawn("triggerer", TRIGGERER)] = "triggerer"
                continue
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            break
        _file("stopping").touch()
        _stop(pids)
        _file("instance.json").unlink(missing_ok=True)
    return code


def _stop(pids: dict[int, str]) -> None:
    """End the components: first those that ask, last the one that answers, then what is left."""
    last = [pid for pid, name in pids.items() if name == "api-server"]
    for group, grace in ([pid for pid in pids if pid not in last], 5), (last, 1):
        waiting = set(group)
        for pid in waiting:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        patience = time.monotonic() + grace
        while waiting and time.monotonic() < patience:
            waiting -= _reap().keys()
            time.sleep(0.05)
    end_leftovers()
    patience = time.monotonic() + 10
    while _has_children() and time.monotonic() < patience:
        time.sleep(0.02)


def up() -> None:
    """`make up`: start Airflow and leave it running."""
    with _file("users.lock").open("a") as mine, _held("start.lock"):
        fcntl.flock(mine, fcntl.LOCK_SH)
        told = running()
        if told is None:
            print("starting Airflow ...", flush=True)
            told = start()
        _agree(told)
        _file("keep").touch()
    print(f"Airflow is up: {client(told).url}")
    print(f"user {configuration.USER}, password {configuration.secrets()['password']}")
    print("stop it with: make down")


def run() -> None:
    """Start Airflow and stay until it ends or this process is told to: for a container."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        up()
        while running():
            time.sleep(1)
    finally:
        down()


def down() -> None:
    """`make down`: end Airflow, at once if nobody uses it, else when they have finished."""
    _file("keep").unlink(missing_ok=True)
    if running() is None:
        end_leftovers()
        print("Airflow is not running")
        return
    time.sleep(0.5)
    while not _is_free("supervisor.lock"):
        if not _is_free("users.lock") and not _is_stopping():
            print("a refresh is still using Airflow, which stops when that has finished")
            return
        time.sleep(0.2)
    print("Airflow has stopped")


def main() -> int:
    [verb] = sys.argv[1:]
    try:
        return {"serve": serve, "up": up, "run": run, "down": down}[verb]() or 0
    except (CannotStart, Conflict) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
