"""A handler that worker processes can import."""

import os

from rota.consumer import Context, Record

DATABASE = "ROTA_TEST_DATABASE"


def book(record: Record[bytes], context: Context) -> None:
    """One booking for a record, in the database that the environment names."""
    with context.sql(os.environ[DATABASE]) as tx:
        tx.execute("INSERT INTO bookings VALUES (?)", (int(record.value),))
