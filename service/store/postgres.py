"""PostgreSQL: how it is opened, and what is refused before anything is recorded there.

Two roles: the owner makes the tables (`prepare`), the application reads them and calls the two
functions `append_entry` and `erase_payloads`; it has no right to change or remove what a log holds
(docs/decisions/0033). Writers lock the head rows first and run under READ COMMITTED, said
explicitly: under REPEATABLE READ the snapshot is older than the lock, and two writers fork the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry

from explainer.errors import StorageFailed
from service.store import tables
from service.store.engine import BUSY_SECONDS, READING, storage_errors
from service.store.keys import KeyStore
from service.store.migrations import CLEAR, NEWEST, revision, upgrade
from service.store.rights import FUNCTIONS, SCHEMA, rights_of, triggers

WHERE = "the database"
OLDEST = 140000
"""Oldest server that is used: 14."""
AT_ONCE = 5
"""Connections of one process: one writes, the others read."""
IN_URL = frozenset(
    {"host", "port", "sslmode", "sslrootcert", "sslcert", "sslkey", "passfile", "connect_timeout"}
)

READING_OPTIONS: Mapping[str, Any] = {
    READING: True,
    "isolation_level": "REPEATABLE READ",
    "postgresql_readonly": True,
}
"""Of a transaction that sees one moment, and that the server keeps from writing."""

_SETTINGS = """
SELECT current_setting('fsync'), current_setting('full_page_writes'),
  current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
  current_setting('server_encoding'), current_setting('server_version_num')::int,
  pg_is_in_recovery(), current_setting('transaction_isolation')
"""


def open_engine(address: str, *, busy_seconds: float = BUSY_SECONDS, writes: bool = True) -> Engine:
    """Return an engine for the application's role. Raises StorageFailed.

    Each connection asks the server for its settings before it is used, so that a server that was
    restarted with unsafe ones is refused as well. Without `writes` nothing can be changed.
    """
    engine = _engine(_read_address(address), busy_seconds, writes)
    if writes:
        event.listen(engine, "begin", _lock_heads)
        event.listen(engine, "commit", _refuse_half)
    return engine


def open_as_owner(address: str) -> Engine:
    """Return an engine for the role that owns the tables. Raises StorageFailed."""
    return _engine(_read_address(address), BUSY_SECONDS, writes=True)


def _engine(url: URL, busy_seconds: float, writes: bool) -> Engine:
    waits = max(1, round(busy_seconds * 1000))
    options = (
        f"-c search_path={SCHEMA} -c lock_timeout={waits} "
        # a client that stands still must not keep the others from writing
        "-c idle_in_transaction_session_timeout=60000"
    )
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            hide_parameters=True,  # values of a case never reach an error text
            isolation_level="READ COMMITTED",
            pool_size=AT_ONCE,
            pool_pre_ping=True,  # after a restart of the server nobody meets a dead connection
            connect_args={
                "connect_timeout": int(str(url.query.get("connect_timeout", 10))),
                "options": options,
                "application_name": "warum",
                "keepalives_idle": 30,
                "keepalives_interval": 10,
                "keepalives_count": 3,
            },
        )
    except ImportError:
        _refuse(
            "The driver for PostgreSQL is not installed.", "Install the extra: `warum[postgres]`."
        )
    if writes:
        event.listen(engine, "connect", _check_server)
    return engine


def _read_address(address: str) -> URL:
    """The parsed address; nothing of it, the password least, gets into an error."""
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        _refuse("The address is not understood.", _FORM)
    if url.drivername != "postgresql" or not url.database or not url.username:
        _refuse("The address is not that of a PostgreSQL database and its role.", _FORM)
    unknown = sorted(set(url.query) - IN_URL)
    if unknown:
        _refuse(
            f"The address says what it may not: {', '.join(unknown)}.",
            f"It may say: {', '.join(sorted(IN_URL))}.",
        )
    if not str(url.query.get("connect_timeout", "10")).isdigit():
        _refuse("connect_timeout is no whole number of seconds.", _FORM)
    host = url.query.get("host", url.host) or ""
    near = isinstance(host, str) and (
        host.startswith("/") or host in ("", "127.0.0.1", "localhost", "::1")
    )
    if not near and url.query.get("sslmode") != "verify-full":
        _refuse(
            "The server is on another machine and nothing says that its certificate is checked.",
            "Add sslmode=verify-full and sslrootcert=FILE to the address.",
        )
    return url


_FORM = "Give postgresql://ROLE@HOST/DATABASE in WARUM_DATABASE."


def _check_server(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute(_SETTINGS)
        found = cursor.fetchone()
        if found is None:  # a SELECT without FROM has one row
            raise TypeError
        fault = _unsafe(*found)
    finally:
        cursor.close()
        connection.rollback()
    if fault is not None:
        connection.close()
        _refuse(*fault)


def _unsafe(
    fsync: str,
    full_page_writes: str,
    synchronous_commit: str,
    standby: str,
    encoding: str,
    version: int,
    recovering: bool,
    isolation: str,
) -> tuple[str, str] | None:
    """What is unsafe about this server, and the way out; None where it may be used."""
    reload = "in postgresql.conf, then `SELECT pg_reload_conf()`."
    if fsync != "on":
        return "fsync is off: a power cut loses acknowledged records.", f"Set fsync = on {reload}"
    if full_page_writes != "on":
        return (
            "full_page_writes is off: a power cut tears pages.",
            f"Set full_page_writes = on {reload}",
        )
    if synchronous_commit == "off":
        return (
            "synchronous_commit is off: what is acknowledged is not on disk yet.",
            "Set synchronous_commit = on, for the role and the database as well: "
            "`ALTER ROLE … RESET synchronous_commit`, `ALTER DATABASE … RESET synchronous_commit`.",
        )
    if synchronous_commit == "local" and standby:
        return (
            "synchronous_commit is local though a synchronous standby is named: it would lack "
            "acknowledged records.",
            "Set synchronous_commit = on, or take the standby out of synchronous_standby_names.",
        )
    if encoding != "UTF8":
        return f"The database is encoded in {encoding}.", "Make it anew with ENCODING 'UTF8'."
    if version < OLDEST:
        return (
            f"The server is older than {OLDEST // 10000}.",
            "Move to a version that is maintained.",
        )
    if recovering:
        return "The server is a standby and takes no records.", "Name the primary."
    if isolation != "read committed":
        return f"Transactions are {isolation}, not read committed.", "This is a fault of Warum."
    return None


def _lock_heads(connection: Connection) -> None:
    """One writer at a time, as on SQLite: what an action looked up still holds when it writes."""
    if not connection.get_execution_options().get(READING):
        connection.exec_driver_sql("SELECT lock_heads()")


def _refuse_half(connection: Connection) -> None:
    """PostgreSQL answers COMMIT of a failed transaction with ROLLBACK and no error."""
    status = connection.connection.driver_connection.info.transaction_status  # type: ignore[union-attr]
    if status.name == "INERROR":
        _refuse(
            "A statement had failed, so nothing of this was recorded.",
            "This is a fault of the program.",
        )


# -- what the application may ---------------------------------------------------------------------


def check_prepared(engine: Engine) -> None:
    """Refuse a database that was not made ready, or in which the application may too much."""
    with storage_errors(WHERE), engine.connect() as plain:
        connection = plain.execution_options(**READING_OPTIONS)
        with connection.begin():
            check_version(connection)
            too_much = _too_much(connection)
    if too_much is not None:
        _refuse(
            f"The application's role {too_much}: it could change what was recorded.",
            f"Use a role of its own for the application, then: {_PREPARE}",
        )


def check_version(connection: Connection) -> None:
    """Raise StorageFailed unless the tables are those this version works with."""
    if revision(connection) != NEWEST:
        _refuse("The tables are not those of this version of Warum.", _PREPARE)


_PREPARE = "Run `warum database prepare` with the owner's role."


def check(address: str) -> None:
    """Raise StorageFailed unless the service could start on this database."""
    engine = open_engine(address)
    try:
        check_prepared(engine)
    finally:
        engine.dispose()


def _too_much(connection: Connection) -> str | None:
    row = connection.execute(
        text(
            "SELECT r.rolsuper OR r.rolbypassrls OR r.rolcreaterole, "
            "pg_has_role(n.nspowner, 'MEMBER'), has_schema_privilege(n.oid, 'CREATE') "
            "FROM pg_roles r, pg_namespace n "
            "WHERE r.rolname = current_user AND n.nspname = :schema"
        ),
        {"schema": SCHEMA},
    ).one()
    for found, what in zip(
        row,
        ("is an administrator of the server", "owns the tables", "may make tables"),
        strict=True,
    ):
        if found:
            return what
    for table in tables.metadata.tables:
        for right in sorted({"INSERT", "UPDATE", "DELETE", "TRUNCATE"} - set(rights_of(table))):
            # a right to one column is as good as one to all
            question = "has_table_privilege(:table, :right)"
            if right in ("INSERT", "UPDATE"):
                question += " OR has_any_column_privilege(:table, :right)"
            asked = {"table": f"{SCHEMA}.{table}", "right": right}
            if connection.execute(text(f"SELECT {question}"), asked).scalar_one():
                return f"has {right} on {table}"
    return None


def prepare(owner: str, application: str, keys: Callable[[], KeyStore] | None = None) -> str | None:
    """Make or renew tables, functions and rights as the owner of the database; repeatable.

    `application` is the address the service uses; of it only the role's name counts here. `keys`
    opens the key store, where an older version left cases in clear. Returns the day until which
    they stood so, None where they never did: they still do wherever the server keeps what was.
    """
    url, role = _read_address(owner), _read_address(application).username
    if role == url.username:
        _refuse("Owner and application are the same role.", "Make a second role: CREATE ROLE.")
    engine = _engine(url, BUSY_SECONDS, writes=True)
    try:
        with storage_errors(WHERE):
            with engine.begin() as connection:
                known = text("SELECT rolsuper FROM pg_roles WHERE rolname = :role")
                superuser = connection.execute(known, {"role": role}).scalar_one_or_none()
                if superuser is None:
                    _refuse(
                        "There is no role of the application's name.",
                        "As administrator: CREATE ROLE … LOGIN PASSWORD '…'.",
                    )
                connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
                if revision(connection) in CLEAR:
                    _remember_clear(connection)
            upgrade(engine, keys)
            with engine.begin() as connection:
                clear_until = _clear_until(connection)
                quoted = connection.dialect.identifier_preparer.quote_identifier(str(role))
                _give_rights(connection, quoted)
    finally:
        engine.dispose()
    return clear_until


_CLEAR = "cases stood in clear until "


def _remember_clear(connection: Connection) -> None:
    """Beside the schema: whoever looks at the database years later is told, too."""
    day = connection.execute(text("SELECT current_date")).scalar_one()
    connection.exec_driver_sql(f"COMMENT ON SCHEMA {SCHEMA} IS '{_CLEAR}{day.isoformat()}'")


def _clear_until(connection: Connection) -> str | None:
    said = connection.execute(
        text("SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = :name"),
        {"name": SCHEMA},
    ).scalar_one()
    return str(said).removeprefix(_CLEAR) if str(said).startswith(_CLEAR) else None


def _give_rights(connection: Connection, role: str) -> None:
    run = connection.exec_driver_sql
    for function in FUNCTIONS:
        run(function)
    for statement in triggers():
        run(statement)
    for kind in ("TABLES", "FUNCTIONS"):
        run(f"REVOKE ALL ON ALL {kind} IN SCHEMA {SCHEMA} FROM PUBLIC, {role}")
    run(f"REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC, {role}")
    run(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {role}")
    run(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {SCHEMA} TO {role}")
    run(f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {role}")
    for table in tables.metadata.tables:
        rights = ", ".join(rights_of(table))
        if rights:
            run(f"GRANT {rights} ON {SCHEMA}.{table} TO {role}")


def _refuse(what: str, mend: str) -> NoReturn:
    raise StorageFailed(what=what, where=WHERE, mend=mend)
