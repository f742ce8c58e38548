"""Opening the database: migrations, addresses, and what is said when it cannot be used."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from kd_core.errors import DiskFullError, StoreError
from kd_core.jobs.store import Store, database, schema
from kd_core.jobs.store.database import Database
from tests.unit.jobs.told import CONFIG, OTHER, RUN

POSTGRES = os.environ.get("KD_TEST_DATABASE_URL")


@pytest.mark.skipif(not POSTGRES, reason="KD_TEST_DATABASE_URL is not set")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_connections_that_the_server_drops_are_made_again(store, url, run):
    engine = sa.create_engine(sa.make_url(url).difference_update_query(["application_name"]))
    with engine.connect() as connection:
        drop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name"
        name = sa.make_url(url).query["application_name"]
        assert connection.execute(sa.text(drop), {"name": name}).rowcount > 0
    engine.dispose()
    assert store.run(RUN).status == "queued"


def test_the_migrations_lead_to_the_tables_of_the_code(store, url):
    store.runs()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": database.VERSIONS, "compare_type": True}
        )
        assert context.get_current_revision() == database.SCHEMA
        assert compare_metadata(context, schema.SCHEME) == []
    engine.dispose()


def test_the_schema_that_the_code_expects_is_the_newest_one():
    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == database.SCHEMA


def test_processes_that_open_a_new_database_at_once_both_can_use_it(url, python):
    code = f"store.create_run(sys.argv[2], {CONFIG!r}); print(len(store.runs()))"
    workers = [python(code, run_id) for run_id in (RUN, OTHER)]
    answers = [worker.communicate() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], answers
    with closing(Store(url)) as store:
        assert {row.id for row in store.runs()} == {RUN, OTHER}


def test_threads_that_open_a_new_database_at_once_all_can_use_it(url):
    stores, failed = [Store(url) for _ in range(4)], []

    def work(number: int) -> None:
        try:
            stores[number].create_run(f"run-{number}", CONFIG)
        except StoreError as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(stores[0].runs()) == 4
    for store in stores:
        store.close()


def test_the_database_lies_in_kd_home(kd_home, monkeypatch):
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    with closing(Store()) as store:
        assert not kd_home.exists()  # nothing is made before it is needed
        assert store.runs() == []
    with closing(sqlite3.connect(kd_home / "kd.sqlite")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_kd_database_url_moves_it(tmp_path, monkeypatch):
    monkeypatch.setenv("KD_DATABASE_URL", f"sqlite:///{tmp_path / '100% mine' / 'team.sqlite'}")
    with closing(Store()) as store:
        store.create_run(RUN, CONFIG)
    assert (tmp_path / "100% mine" / "team.sqlite").stat().st_size > 0


@pytest.mark.parametrize(
    "address", ["mysql://ada:s3cret@host/db", "sqlite://", "s3cret", "postgresql://ada:s3cret@host:x/db"]
)
def test_an_address_of_another_kind_is_refused_and_not_repeated(address):
    with pytest.raises(StoreError, match="write it like postgresql://user:password@host/database") as caught:
        Store(address)
    assert "s3cret" not in str(caught.value)


def test_a_password_with_an_at_sign_is_not_taken_for_a_host():
    for address in ("postgresql://kd:p@ssw0rd@db/kd", "postgres://kd:a@b@c@db:5432/kd?sslmode=require"):
        with pytest.raises(StoreError, match=r"^KD_DATABASE_URL has more than one @: write %40 for one in"):
            Store(address)
    Store("postgresql://kd:p%40ssw0rd@127.0.0.1:9/kd").close()


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ada:s3cret@127.0.0.1:9/kd",
        "postgres:///kd?host=127.0.0.1&port=9&user=ada&password=s3cret",
    ],
)
def test_a_server_that_does_not_answer_is_named_without_its_password(address):
    with closing(Store(address)) as store, pytest.raises(StoreError) as caught:
        store.runs()
    text = str(caught.value)
    assert text.startswith("The database 'kd' on ")
    assert "refused" in text
    assert text.endswith("Check KD_DATABASE_URL, and that the server runs.")
    assert "s3cret" not in text


def test_a_file_that_is_no_database_is_named(tmp_path):
    file = tmp_path / "kd.sqlite"
    file.write_bytes(b"This is a letter to my aunt, and no database at all. " * 20)
    with closing(Store(f"sqlite:///{file}")) as store, pytest.raises(StoreError) as caught:
        store.runs()
    assert str(caught.value) == (
        f"The database {file} cannot be used: file is not a database. "
        "The folders of the runs are whole: kd index --rebuild makes it anew from them."
    )


def test_a_full_disk_is_thought_of_when_sqlite_speaks_of_another_error(tmp_path):
    """It cannot make the file that its processes share, and says only this."""
    error = Database(f"sqlite:///{tmp_path}/kd.sqlite")._failed(sqlite3.OperationalError("disk I/O error"))
    assert str(error).endswith(
        "disk I/O error. If the disk is full, free some space, for example with kd clean."
    )
    assert isinstance(error, DiskFullError)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    hint = "Check that you may write there, or choose another folder"
    with (
        closing(Store(f"sqlite:///{tmp_path}/file/kd.sqlite")) as store,
        pytest.raises(StoreError, match=hint),
    ):
        store.runs()


def test_a_database_of_a_newer_version_is_left_alone(store, url, run):
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {database.VERSIONS} SET version_num = '9999'"))
    engine.dispose()
    newer = r"made by a newer KD Studio \(schema 9999; this one knows"
    with closing(Store(url)) as older, pytest.raises(StoreError, match=newer):
        older.runs()
