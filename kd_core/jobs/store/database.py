"""Opens the database, brings it up to date, and says in plain words what goes wrong there."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock, Timeout
from pydantic_core import from_json  # several times as fast as json.loads: a list of runs has many configs

from kd_core.errors import DiskFullError, StoreError
from kd_core.system import paths

SCHEMA = "0004"  # the newest of migrations/versions
VERSIONS = "kd_version"  # not Alembic's usual name, since Optuna's tables lie beside ours
MIGRATIONS = Path(__file__).parent / "migrations"
REBUILD = "The folders of the runs are whole: kd index --rebuild makes it anew from them."
FULL = ("full", "no space left", "disk i/o")  # the last is all that SQLite says where it can make no file
PATIENCE = 60  # seconds for another process that migrates

_PREPARING = threading.Lock()  # Alembic keeps its state in globals


class Database:
    """SQLite or PostgreSQL. Connected to, and migrated, when it is first used; shared among threads."""

    def __init__(self, address: str | None) -> None:
        """None: a file in ``KD_HOME``. Raises: StoreError."""
        self._url = _parse(address)
        self._engine = _engine(self._url)
        # A read that turns into a write fails at once where another writes, so SQLite locks at the start.
        self._writing = self._engine.execution_options(begin="BEGIN IMMEDIATE")
        self._ready = False
        self._inode: int | None = None  # of the file that is connected to

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def begin(self, *, write: bool = False) -> Iterator[sa.Connection]:
        """A transaction. Raises: StoreError, whatever goes wrong in the database."""
        try:
            if self._ready and self._is_sqlite:
                self._look_for_it()
            if not self._ready:
                self._prepare()
        except (sa.exc.SQLAlchemyError, OSError) as error:
            raise self._failed(error) from error
        try:
            with (self._writing if write else self._engine).begin() as connection:
                yield connection
        except sa.exc.SQLAlchemyError as error:
            raise self._failed(error) from error

    def set_aside_if_broken(self) -> Path | None:
        """Rename a file that is no database, or is damaged; its new place. Raises: StoreError."""
        file = Path(str(self._url.database))
        if not self._is_sqlite or not file.is_file():
            return None
        try:
            with closing(sqlite3.connect(file)) as database:
                if database.execute("PRAGMA quick_check").fetchone() == ("ok",):
                    return None
        except sqlite3.OperationalError as error:  # locked, or may not be read: that is not broken
            raise self._failed(error) from error
        except sqlite3.DatabaseError:
            pass
        self.close()
        self._ready = False
        aside = file.with_name(f"{file.name}.broken-{datetime.now(UTC):%Y%m%d-%H%M%S}")
        try:
            for suffix in ("-wal", "-shm", ""):
                with suppress(FileNotFoundError):
                    Path(f"{file}{suffix}").rename(f"{aside}{suffix}")
        except OSError as error:
            raise self._failed(error) from error
        return aside

    @property
    def address(self) -> str:
        """For a library with tables of its own there. It may hold a password: never to be shown."""
        return self._url.render_as_string(hide_password=False)

    @contextmanager
    def store_errors(self) -> Iterator[None]:
        """What goes wrong here while such a library uses it. Raises: StoreError."""
        try:
            yield
        except Exception as error:
            cause = error if isinstance(error, sa.exc.SQLAlchemyError) else error.__cause__
            if not isinstance(cause, sa.exc.SQLAlchemyError):
                raise
            raise self._failed(cause) from error

    def _look_for_it(self) -> None:
        """What is written to a file that is no longer there, nobody would see. Raises: StoreError."""
        now = _inode(self._url)
        if now is None:
            raise StoreError(
                f"{self._name} is gone. Put it back, or restart KD Studio, which makes a new one."
            )
        if now != self._inode:  # another one took its place
            self.close()
            self._ready = False

    def _prepare(self) -> None:
        with _PREPARING, self._alone():
            with self._engine.begin() as connection:
                current = _version(connection)
            if current != SCHEMA:
                self._migrate()
            self._inode = _inode(self._url) if self._is_sqlite else None
            self._ready = True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Among processes. SQLite cannot change to its write-ahead log while another has the file open."""
        if not self._is_sqlite:
            yield  # the migration takes a lock in the database
            return
        file = Path(str(self._url.database))
        if file.parent == paths.home():
            paths.make_home()
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(f"{file}.lock", timeout=PATIENCE):
                yield
        except Timeout as error:
            raise StoreError(
                f"{self._name} was locked by another process for {PATIENCE} seconds; end it, then try again."
            ) from error

    def _migrate(self) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["version_table"] = VERSIONS
        if self._is_sqlite:  # it stays so; outside of a transaction
            with self._engine.execution_options(begin="PRAGMA journal_mode = WAL").connect() as connection:
                connection.execute(sa.text("SELECT 1"))
        with self._writing.begin() as connection:
            if not self._is_sqlite:
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('kd-studio'))"))
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise StoreError(
                    f"{self._name} was made by a newer KD Studio (schema {_version(connection)}; this one "
                    f"knows {SCHEMA}). Update KD Studio, or choose another folder with KD_HOME."
                ) from error

    @property
    def _is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    @property
    def _name(self) -> str:
        """Without user and password, which may also be in the query of the address."""
        if self._is_sqlite:
            return f"The database {self._url.database}"
        return f"The database {self._url.database!r} on {self._url.host or 'this machine'}"

    def _failed(self, error: Exception) -> StoreError:
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0].rstrip(".")
        for secret in (self._url.password, self._url.query.get("password")):
            reason = reason.replace(str(secret), "***") if secret else reason
        hints = {
            "locked": "Another process is writing; try again.",
            **dict.fromkeys(FULL, "If the disk is full, free some space, for example with kd clean."),
            "not a database": REBUILD,
            "malformed": REBUILD,
        }
        other = "Check that you may write there, or choose another folder with KD_HOME."
        if not self._is_sqlite:
            other = "Check KD_DATABASE_URL, and that the server runs."
        hint = next((hint for word, hint in hints.items() if word in reason.lower()), other)
        kind = DiskFullError if any(word in reason.lower() for word in FULL) else StoreError
        return kind(f"{self._name} cannot be used: {reason}. {hint}")


def _parse(address: str | None) -> sa.URL:
    if not address:
        return sa.URL.create("sqlite", database=str(paths.home() / "kd.sqlite"))
    if address.startswith("postgres") and address.partition("://")[2].partition("?")[0].count("@") > 1:
        # What follows the first one would count as the host, and be shown in messages.
        raise StoreError("KD_DATABASE_URL has more than one @: write %40 for one in the user or password.")
    try:
        url = sa.make_url(address)
    except (sa.exc.ArgumentError, ValueError):
        url = sa.URL.create("unreadable")
    if url.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername == "sqlite" and url.database not in (None, "", ":memory:"):
        return url
    # The address is not repeated: it may hold a password.
    raise StoreError(
        "KD_DATABASE_URL is not an address that KD Studio can use; write it like "
        "postgresql://user:password@host/database or sqlite:////folder/file."
    )


def _inode(url: sa.URL) -> int | None:
    """None where there is no file."""
    with suppress(OSError):
        return os.stat(str(url.database)).st_ino
    return None


def _to_json(value: Any) -> str:
    """With "?" for halves of characters, which JSON lets in and no reader takes."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()


def _engine(url: sa.URL) -> sa.Engine:
    as_json: Any = {"json_serializer": _to_json, "json_deserializer": from_json}
    if url.get_backend_name() == "postgresql":
        try:
            return sa.create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 5}, **as_json)
        except ImportError as error:
            raise StoreError("PostgreSQL needs a driver: pip install '.[team]' in a checkout.") from error
    engine = sa.create_engine(url, connect_args={"isolation_level": None}, **as_json)

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: Any, _: object) -> None:
        for pragma in ("busy_timeout = 5000", "synchronous = NORMAL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    # Python's driver would begin transactions by itself, and later than the lock is needed.
    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))

    return engine


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSIONS):
        return None
    return str(connection.scalar(sa.text(f"SELECT version_num FROM {VERSIONS}")))
