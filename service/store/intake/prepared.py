"""Statements that are compiled once and run by the driver's own cursor: compiling one costs more than running it."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Dialect, Executable
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import ClauseElement

Values = Mapping[str, Any]


class PreparedStatement:
    """One statement in one database's dialect; its values are named after its columns and bind parameters."""

    def __init__(self, statement: Executable, dialect: Dialect, *, columns: Iterable[str] = ()) -> None:
        """``columns``: those that an INSERT sets."""
        if not isinstance(statement, ClauseElement):
            raise TypeError(f"{statement!r} has no text")
        if isinstance(dialect, SQLiteDialect_pysqlite):
            dialect = SQLiteDialect_pysqlite(paramstyle="named")  # so that both drivers take values by name
        names = list(columns)
        compiled = statement.compile(dialect=dialect, column_keys=names or None)
        self._text = str(compiled)
        self._fixed: dict[str, Any] = {}
        self._into_driver: dict[str, Any] = {}
        for name, bind in compiled.binds.items():  # type: ignore[attr-defined]
            into_driver = bind.type.dialect_impl(dialect).bind_processor(dialect)
            if not bind.required:  # its value is part of the statement
                self._fixed[name] = into_driver(bind.value) if into_driver else bind.value
            elif into_driver:
                self._into_driver[name] = into_driver

    def one(self, cursor: DBAPICursor, values: Values) -> Any:
        """Run it and return its row, or None."""
        cursor.execute(self._text, self._bound(values))
        row = cursor.fetchone()
        cursor.fetchall()  # SQLite ends a statement that returns rows only after its last one
        return row

    def each(self, cursor: DBAPICursor, many: Iterable[Values]) -> None:
        """Run it once for each set of values; nothing is returned."""
        cursor.executemany(self._text, [self._bound(values) for values in many])

    def _bound(self, values: Values) -> dict[str, Any]:
        bound = {**self._fixed, **values}
        for name, into_driver in self._into_driver.items():
            bound[name] = into_driver(bound[name])
        return bound


@contextmanager
def driver_errors(dialect: Dialect) -> Iterator[None]:
    """Raise the driver's errors as SQLAlchemy would, so that there is one way to interpret them."""
    raised: Any = dialect.loaded_dbapi.Error
    try:
        yield
    except raised as error:
        raise DBAPIError.instance(None, None, error, raised, dialect=dialect) from error
