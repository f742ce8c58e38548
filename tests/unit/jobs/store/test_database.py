"""Opening the database: migrations, addresses, and what is said when it cannot be used."""

import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock

from kd_core.errors import DiskFullError, StoreError
from kd_core.jobs.store import Store, database, schema
from kd_core.jobs.store.database import Database
from tests.unit.jobs.told import CONFIG, OTHER, RUN, THIRD, both


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_connections_that_the_server_drops_are_made_again(store, database_url, run):
    engine = sa.create_engine(sa.make_url(database_url).difference_update_query(["application_name"]))
    with engine.connect() as connection:
        drop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name"
        name = sa.make_url(database_url).query["application_name"]
        assert connection.execute(sa.text(drop), {"name": name}).rowcount > 0
    engine.dispose()
    assert store.run(RUN).status == "queued"


@both
def test_migrations_lead_to_the_tables_of_the_code(store):
    with store._database.begin() as connection:
        options = {"version_table": database.VERSIONS, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert context.get_current_revision() == database.SCHEMA
        assert compare_metadata(context, schema.SCHEME) == []
    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == database.SCHEMA


@both
@pytest.mark.slow
def test_processes_and_threads_open_a_new_database_at_once(database_url, url, python):
    code = "from threading import Thread; stores = [Store(sys.argv[1]) for _ in range(2)]\n"
    code += f"work = lambda number: stores[number].create_run(sys.argv[2] + str(number), {CONFIG!r})\n"
    code += "threads = [Thread(target=work, args=(number,)) for number in range(2)]\n"
    code += "[thread.start() for thread in threads]; [thread.join() for thread in threads]"
    workers = [python(code, run_id) for run_id in (RUN, OTHER)]
    assert [worker.wait() for worker in workers] == [0, 0]
    with closing(Store(url)) as store:
        assert store.ids() == {f"{run_id}{number}" for run_id in (RUN, OTHER) for number in (0, 1)}


def test_database_lies_in_kd_home_or_where_the_variable_says(kd_home, tmp_path, monkeypatch):
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    with closing(Store()) as store:
        assert not kd_home.exists(), "nothing is made before it is needed"
        assert store.runs() == []
    with closing(sqlite3.connect(kd_home / "kd.sqlite")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    monkeypatch.setenv("KD_DATABASE_URL", f"sqlite:///{tmp_path / '100% mine' / 'team.sqlite'}")
    with closing(Store()) as store:
        store.create_run(RUN, CONFIG)
    assert (tmp_path / "100% mine" / "team.sqlite").stat().st_size > 0


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("mysql://ada:s3cret@host/db", "write it like postgresql://user:password@host/database"),
        ("sqlite://", "write it like"),
        ("sqlite:///:memory:", "write it like"),
        ("s3cret", "write it like"),
        ("postgresql://ada:s3cret@host:x/db", "write it like"),
        ("postgres://kd:s3cret@b@db:5432/kd", r"^KD_DATABASE_URL has more than one @: write %40 for one in"),
    ],
)
def test_wrong_address_is_refused_and_not_repeated(address, says):
    with pytest.raises(StoreError, match=says) as caught:
        Store(address)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("postgresql://ada:s3cret%40@127.0.0.1:9/kd", "127.0.0.1"),
        ("postgres:///kd?host=127.0.0.1&port=9&user=ada@home&password=s3cret", "this machine"),
    ],
)
def test_silent_server_is_named_without_its_password(address, host):
    named = rf"^The database 'kd' on {host} cannot be used: .*refused.* Check KD_DATABASE_URL, and that"
    with closing(Store(address)) as store, pytest.raises(StoreError, match=named) as caught:
        store.runs()
    assert "s3cret" not in str(caught.value)


LITE, POST = "sqlite:///a.sqlite", "postgresql://kd:s3cret@db/kd"


@pytest.mark.parametrize(
    ("address", "reason", "says"),
    [
        (LITE, "database is locked\nmore", "database is locked. Another process is writing; try again."),
        (LITE, "Malformed image.", f"Malformed image. {database.REBUILD}"),
        (
            LITE,
            "disk I/O error",
            "disk I/O error. If the disk is full, free some space, for example with kd clean.",
        ),
        (LITE, "it is full", "it is full. If the disk is full, free some space, for example with kd clean."),
        (LITE, "odd", "odd. Check that you may write there, or choose another folder with KD_HOME."),
        (POST, "no s3cret", "no ***. Check KD_DATABASE_URL, and that the server runs."),
    ],
)
def test_hint_for_an_error_of_the_database(address, reason, says):
    error = Database(address)._failed(sqlite3.OperationalError(reason))
    assert str(error).endswith(f" cannot be used: {says}")
    assert isinstance(error, DiskFullError) == ("kd clean" in says)


def test_file_that_is_no_database_is_named_and_set_aside(store, kd_home, monkeypatch):
    assert store.set_aside_if_broken() is None
    with monkeypatch.context() as patch:  # locked is not broken
        patch.setattr(sqlite3, "connect", lambda _: sqlite3.dbapi2.connect(":memory:").execute("locked"))
        with pytest.raises(StoreError, match="syntax error"):
            store.set_aside_if_broken()
    file, letter = kd_home / "kd.sqlite", b"This is a letter to my aunt, and no database at all. " * 20
    file.write_bytes(letter)
    says = f"^The database {file} cannot be used: file is not a database. {database.REBUILD}$"
    with closing(Store()) as other, pytest.raises(StoreError, match=says):
        other.runs()
    aside = store.set_aside_if_broken()
    assert aside.name.startswith("kd.sqlite.broken-2")
    assert (aside.read_bytes(), store.set_aside_if_broken(), store.runs()) == (letter, None, [])


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    hint = "Check that you may write there, or choose another folder"
    with (
        closing(Store(f"sqlite:///{tmp_path}/file/kd.sqlite")) as store,
        pytest.raises(StoreError, match=hint),
    ):
        store.runs()


def test_database_that_another_process_migrates_for_too_long(url, monkeypatch):
    monkeypatch.setattr(database, "PATIENCE", 0.01)
    lock = FileLock(f"{sa.make_url(url).database}.lock")
    with lock, closing(Store(url)) as store, pytest.raises(StoreError, match="was locked by another process"):
        store.runs()


@both
def test_database_of_a_newer_version_is_left_alone(store, url, run):
    with pytest.raises(StoreError, match="cannot be used: "), store._database.begin(write=True) as connection:
        connection.exec_driver_sql("UPDATE nothing SET version_num = '9999'")
    with store._database.begin(write=True) as connection:
        connection.exec_driver_sql(f"UPDATE {database.VERSIONS} SET version_num = '9999'")
    newer = r"made by a newer KD Studio \(schema 9999; this one knows"
    with closing(Store(url)) as older, pytest.raises(StoreError, match=newer):
        older.runs()


def test_database_that_replaces_another_is_the_one_that_counts(store, run, kd_home):
    (kd_home / "away").mkdir()
    files = [kd_home / f"kd.sqlite{end}" for end in ("", "-wal", "-shm")]
    for file in files:
        file.rename(kd_home / "away" / file.name)
    with pytest.raises(StoreError, match=r"kd\.sqlite is gone\. Put it back, or restart KD Studio"):
        store.runs()
    with closing(Store()) as other:
        other.create_run(OTHER, {})
        assert [row.id for row in store.runs()] == [OTHER]
        for file in files:
            file.unlink(missing_ok=True)
            (kd_home / "away" / file.name).rename(file)
        store.create_run(THIRD, {})
        assert [row.id for row in store.runs()] == [row.id for row in other.runs()] == [THIRD, RUN]
