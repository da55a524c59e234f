"""What several machines are started on: no default secrets, and to each process what it needs."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from include import identifiers
from ops import configuration, deployment
from tests import services

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "docker-compose.yaml"
UNITS = ROOT / "deploy" / "systemd"
PLACES = {
    "STATEWIDE_DATABASE": "airflow@postgres:5432/airflow",
    "STATEWIDE_BROKER": "redis:6379/0",
    "STATEWIDE_API": "http://api-server:8080",
}
SECRETS = [it.name for it in deployment.SETTINGS if it.secret]


@pytest.fixture
def settings() -> dict[str, str]:
    return deployment.made_settings() | PLACES


def users(name: str) -> list[str]:
    return sorted(next(it for it in deployment.SETTINGS if it.name == name).used_by)


# ---- secrets -----------------------------------------------------------------------------------


def test_made_settings_are_fit_and_never_the_same(settings):
    for component in deployment.COMPONENTS:
        assert deployment.problems(settings, component) == []
    again = deployment.made_settings()
    assert not {settings[name] for name in SECRETS} & {again[name] for name in SECRETS}


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "is not set"),
        ("airflow", "everybody knows"),
        ("81HqDtbqAywKSOumSha3BhWNOdQ26slT6K0YaZeZyPs=", "everybody knows"),
        ("Sh0rt!", "can be guessed"),
        ("a" * 40, "can be guessed"),
    ],
)
def test_nothing_starts_on_a_secret_that_is_missing_or_can_be_guessed(name, value, said, settings):
    for component in users(name):
        with pytest.raises(deployment.Unfit) as error:
            deployment.environment(settings | {name: value}, component)
        assert f"{name} " in str(error.value) and said in str(error.value)
        assert not value or value not in str(error.value).replace(name, "")


def test_one_secret_is_not_used_for_two_things(settings):
    told = settings | {"STATEWIDE_JWT_SECRET": settings["STATEWIDE_SECRET_KEY"]}
    with pytest.raises(deployment.Unfit, match="is the same as"):
        deployment.environment(told, "api-server")


def test_passwords_do_not_travel_in_the_clear(settings):
    for url, is_fit in (
        ("http://localhost:8080", True),
        ("http://statewide.example.gov", False),
        ("https://statewide.example.gov", True),
    ):
        found = deployment.problems(settings | {"STATEWIDE_BASE_URL": url}, "api-server")
        assert (found == []) == is_fit, url
    made = deployment.environment(
        settings | {"STATEWIDE_BASE_URL": "https://statewide.example.gov"}, "api-server"
    )
    assert made["AIRFLOW__FAB__COOKIE_SECURE"] == "True"


@pytest.mark.parametrize("component", deployment.COMPONENTS)
def test_a_process_that_is_started_without_settings_says_what_is_missing(component, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "ops.deployment", component],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "STATEWIDE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"{component} is not started:\n")
    assert "make env" in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_settings_are_written_once_and_for_their_owner_only(tmp_path, capsys):
    file = tmp_path / ".env"
    assert deployment.main(["env", str(file)]) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    written = file.read_text()
    assert deployment.main(["env", str(file)]) == 1, "keys that are in use are not made again"
    assert file.read_text() == written
    told = dict(line.split("=", 1) for line in written.splitlines() if not line.startswith("#"))
    for component in deployment.COMPONENTS:
        assert deployment.problems(told | PLACES, component) == []
    for secret in SECRETS:
        assert told[secret] not in "".join(capsys.readouterr())


# ---- what a process is told --------------------------------------------------------------------


@pytest.mark.parametrize("component", deployment.COMPONENTS)
def test_a_process_is_given_the_secrets_that_it_needs_and_no_others(component, settings):
    made = deployment.environment(settings | {"PATH": "/bin"}, component)
    values = "\n".join(made.values())
    for setting in deployment.SETTINGS:
        if setting.secret and component not in setting.used_by:
            assert settings[setting.name] not in values, setting.name
    assert made["PATH"] == "/bin"


def test_a_worker_has_no_way_into_airflows_database(settings):
    made = deployment.environment(settings, "worker")
    assert not [name for name in made if "DATABASE" in name or "FERNET" in name or "JWT_S" in name]
    assert "postgres" not in "\n".join(made.values())
    assert settings[identifiers.VARIABLE] == made[identifiers.VARIABLE]


def test_a_password_with_odd_characters_reaches_the_database_as_it_is(settings):
    from sqlalchemy.engine import make_url

    odd = "p@ss:w/rd%41?#-and-more-of-it"
    made = deployment.environment(settings | {"STATEWIDE_DATABASE_PASSWORD": odd}, "scheduler")
    assert make_url(made["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]).password == odd


# ---- containers --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def services_of() -> dict[str, dict]:
    return yaml.safe_load(COMPOSE.read_text())["services"]


def component_of(service: dict) -> str | None:
    command = service.get("command", [])
    return command[-1] if command[:3] == ["python", "-m", "ops.deployment"] else None


def compose() -> list[str] | None:
    """The program that reads compose files, where there is one."""
    if shutil.which("docker"):
        known = subprocess.run(["docker", "compose", "version"], capture_output=True)
        if known.returncode == 0:
            return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else None


needs_compose = pytest.mark.skipif(
    compose() is None, reason="needs: apt-get install docker-compose (or docker's compose plugin)"
)


@needs_compose
def test_docker_compose_takes_the_file(tmp_path):
    deployment.write_settings(tmp_path / ".env")
    done = subprocess.run(
        [*compose(), "-f", str(COMPOSE), "--env-file", str(tmp_path / ".env"), "config"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    resolved = yaml.safe_load(done.stdout)["services"]
    assert {"postgres", "redis", "s3", "scheduler", "worker"} <= set(resolved)
    told = (tmp_path / ".env").read_text()
    [password] = re.findall(r"^STATEWIDE_DATABASE_PASSWORD=(.+)$", told, re.M)
    assert resolved["postgres"]["environment"]["POSTGRES_PASSWORD"] == password


@needs_compose
@pytest.mark.parametrize("name", SECRETS)
def test_docker_compose_refuses_the_file_where_a_secret_is_missing(name, tmp_path):
    told = {key: value for key, value in deployment.made_settings().items() if key != name}
    (tmp_path / ".env").write_text("".join(f"{key}={value}\n" for key, value in told.items()))
    done = subprocess.run(
        [*compose(), "-f", str(COMPOSE), "--env-file", str(tmp_path / ".env"), "config"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "run make env" in done.stderr


def test_each_service_is_given_what_its_process_needs_and_nothing_else(services_of):
    started = {}
    for name, service in services_of.items():
        if component := component_of(service):
            started[component] = name
            merged = service["environment"]
            told = {key for key in merged if any(key == it.name for it in deployment.SETTINGS)}
            needed = {it.name for it in deployment.SETTINGS if component in it.used_by}
            assert told == needed, f"{name}: {told ^ needed}"
    assert set(started) == set(deployment.COMPONENTS)


def test_no_secret_has_a_default_and_none_stands_in_the_file(services_of):
    for name, service in services_of.items():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY|REDISCLI_AUTH", key):
                assert re.fullmatch(r"\$\{[A-Z_]+:\?run make env\}", value), f"{name} {key}"


def test_images_are_pinned_ports_are_this_machines_and_nobody_is_root(services_of):
    for name, service in services_of.items():
        image = service["image"]
        assert image == "statewide:local" or re.search(r":\d+(\.\d+)+(-\w+)?$", image), image
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged"), name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} {port}"
        if component_of(service):
            assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^FROM python:3\.11\.\d+-", dockerfile, re.M)
    assert dockerfile.index("\nUSER statewide") < dockerfile.index("\nENTRYPOINT")


def test_what_runs_on_has_a_health_check_and_what_ends_is_waited_for(services_of):
    for name, service in services_of.items():
        if service["restart"] == "unless-stopped":
            assert service["healthcheck"]["test"], name
        else:
            waits = {
                waiting
                for waiting, other in services_of.items()
                if other.get("depends_on", {}).get(name, {}).get("condition")
                == "service_completed_successfully"
            }
            assert waits, f"nobody waits for {name}"


def test_a_worker_is_not_on_the_databases_network(services_of):
    assert "database" not in services_of["worker"]["networks"]
    assert services_of["postgres"]["networks"] == ["database"]
    networks = yaml.safe_load(COMPOSE.read_text())["networks"]
    assert networks["database"]["internal"] and networks["broker"]["internal"]


@pytest.mark.skipif(
    not services.program("redis-server"), reason="needs: apt-get install redis-server"
)
def test_redis_as_compose_starts_it_wants_a_password(services_of, tmp_path):
    import redis

    told = services_of["redis"]["command"][-1].replace("$$", "$")
    port = services.free_port()
    told = told.replace("dir /data", f"dir {tmp_path}\\nport {port}\\nbind 127.0.0.1")
    process = subprocess.Popen(
        ["sh", "-c", told],
        env=os.environ | {"REDISCLI_AUTH": "a-password-of-this-test"},
        stdout=subprocess.DEVNULL,
    )
    try:
        services._wait(lambda: services._ping(port, "a-password-of-this-test"), tmp_path, 20)
        with pytest.raises(redis.exceptions.AuthenticationError):
            redis.Redis("127.0.0.1", port).ping()
    finally:
        process.kill()
        process.wait()


# ---- systemd -----------------------------------------------------------------------------------


def units() -> list[Path]:
    return sorted(UNITS.glob("*.service"))


def test_there_is_a_unit_for_every_process():
    started = {
        re.search(r"^ExecStart=.* -m ops\.deployment ([a-z-]+)$", unit.read_text(), re.M)[1]
        for unit in units()
    }
    assert started == set(deployment.COMPONENTS) - {"buckets"} | {"forget"}
    timers = {unit.stem for unit in UNITS.glob("*.timer")}
    assert timers == {"statewide-forget"} <= {unit.stem for unit in units()}


@pytest.mark.parametrize("unit", units(), ids=lambda unit: unit.name)
def test_a_unit_is_hardened_and_reads_its_secrets_from_a_file_of_its_own(unit):
    told = unit.read_text()
    for line in (
        "User=statewide",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "CapabilityBoundingSet=",
        "UMask=0077",
    ):
        assert f"\n{line}\n" in told, line
    component = re.search(r"ops\.deployment ([a-z-]+)$", told, re.M)[1]
    # Airflow's database is what it works on.
    settings_of = {"forget": "prepare"}.get(component, component)
    assert f"\nEnvironmentFile=/etc/statewide/{settings_of}.env\n" in told
    assert not re.search(r"(PASSWORD|SECRET|_KEY)=", told)


@pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="needs: apt-get install systemd (systemd-analyze)"
)
@pytest.mark.parametrize("unit", units(), ids=lambda unit: unit.name)
def test_systemd_takes_the_unit(unit, tmp_path):
    """In a copy whose program and folder are there: this machine has no /opt/statewide."""
    for path in UNITS.iterdir():
        told = path.read_text().replace("/opt/statewide/.venv/bin/python", "/bin/true")
        (tmp_path / path.name).write_text(told)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit.name)],
        capture_output=True,
        text=True,
        env=os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    ours = [line for line in done.stderr.splitlines() if "statewide" in line]
    assert done.returncode == 0 and not ours, done.stderr


def test_settings_are_split_into_one_file_for_each_process(tmp_path, settings):
    (tmp_path / "all.env").write_text("".join(f"{k}={v}\n" for k, v in settings.items()))
    assert deployment.main(["split", str(tmp_path / "all.env"), str(tmp_path / "etc")]) == 0
    for component in deployment.COMPONENTS:
        file = tmp_path / "etc" / f"{component}.env"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        told = dict(line.split("=", 1) for line in file.read_text().splitlines())
        needed = {it.name for it in deployment.SETTINGS if component in it.used_by}
        assert set(told) == needed & set(settings)
        assert deployment.problems(told, component) == []


def test_health_is_asked_of_whoever_knows(tmp_path, monkeypatch):
    monkeypatch.setenv("STATEWIDE_HOME", str(tmp_path))
    (tmp_path / "viewed").touch()
    assert deployment.main(["healthy", "view"]) == 0
    os.utime(tmp_path / "viewed", (0, 0))
    assert deployment.main(["healthy", "view"]) == 1
    monkeypatch.setenv("STATEWIDE_API", f"http://127.0.0.1:{services.free_port()}")
    assert deployment.main(["healthy", "api-server"]) == 1


def test_the_preload_of_a_worker_names_modules_that_are_there(settings):
    made = deployment.environment(settings, "worker")
    imports = json.loads(made["AIRFLOW__CELERY__EXTRA_CELERY_CONFIG"])["imports"]
    assert set(imports) < set(configuration.PRELOAD)
    assert {"great_expectations", "dbt.cli.main", "duckdb"} <= set(imports)


def test_what_the_pages_read_is_in_the_image():
    """The Statewide page shows the runbook and its pictures."""
    left_out = (ROOT / ".dockerignore").read_text().split()
    assert not {"docs", "docs/runbook.md", "docs/images", "console", "plugins", "deploy"} & set(
        left_out
    )
    assert ".env" in left_out and "var" in left_out
