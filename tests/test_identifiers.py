"""A person's identifier never enters the lake, and is still the same person everywhere."""

import hashlib
import hmac
import multiprocessing
import os

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include import identifiers

LONG = "a key of an agency, forty bytes or so long"


@pytest.fixture(autouse=True)
def _no_key_from_outside(monkeypatch):
    monkeypatch.delenv(identifiers.VARIABLE, raising=False)


def in_duckdb(values: list[str | None], secret: bytes) -> list[str | None]:
    with duckdb.connect() as connection:
        identifiers.install(connection, secret)
        connection.execute("create table people (n integer, id varchar)")
        connection.executemany(
            "insert into people values (?, ?)", [[n, value] for n, value in enumerate(values)]
        )
        found = connection.execute(f"select {identifiers.sql('id')} from people order by n")
        return [name for (name,) in found.fetchall()]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1),
    st.binary(min_size=32, max_size=200),
)
def test_duckdb_names_a_person_as_python_does(values, secret):
    expected = [hmac.new(secret, v.encode(), hashlib.sha256).hexdigest() for v in values]

    assert in_duckdb(values, secret) == expected
    assert [identifiers.pseudonym(value, secret) for value in values] == expected


def test_nobody_stays_nobody():
    assert in_duckdb([None], LONG.encode()) == [None]


def test_the_key_comes_from_the_environment_first(home, monkeypatch):
    monkeypatch.setenv(identifiers.VARIABLE, LONG)

    assert identifiers.key() == LONG.encode()
    assert not (home / "hmac.key").exists()


def test_a_short_key_is_refused_without_being_shown(home, monkeypatch):
    monkeypatch.setenv(identifiers.VARIABLE, "only-fifteen-by")

    with pytest.raises(identifiers.WeakKey, match="15 bytes; it needs at least 32") as error:
        identifiers.key()
    assert "only-fifteen" not in str(error.value)


def test_a_key_is_made_once_for_its_owner_alone(home):
    first = identifiers.key()

    assert len(first) == 32
    assert identifiers.key() == first
    assert (home / "hmac.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in home.iterdir()] == ["hmac.key"]


def test_a_key_that_others_can_read_is_refused(home):
    identifiers.key()
    (home / "hmac.key").chmod(0o644)

    with pytest.raises(identifiers.WeakKey, match="chmod 600"):
        identifiers.key()


def _key_of_a_process(home, answers):
    os.environ["STATEWIDE_HOME"] = str(home)
    answers.put(identifiers.key())


def test_processes_that_start_together_agree_on_one_key(home):
    start = multiprocessing.get_context("fork")
    answers = start.Queue()
    processes = [start.Process(target=_key_of_a_process, args=(home, answers)) for _ in range(6)]
    for process in processes:
        process.start()
    keys = {answers.get(timeout=30) for _ in processes}
    for process in processes:
        process.join()

    assert keys == {identifiers.key()}


def test_another_key_gives_another_person_and_another_check(home):
    other = b"another key of another agency...."

    assert identifiers.pseudonym("123456789", other) != identifiers.pseudonym("123456789")
    assert identifiers.key_check(other) != identifiers.key_check()
    assert identifiers.pseudonym("123456789") != hashlib.sha256(b"123456789").hexdigest()


def test_a_connection_gives_the_key_back():
    with duckdb.connect() as connection:
        identifiers.install(connection, LONG.encode())
        identifiers.remove(connection)

        found = connection.execute("select getvariable('hmac_inner'), getvariable('hmac_outer')")
        assert found.fetchone() == (None, None)
