"""What Alembic runs: on the connection it is given, or on `alembic -x url=... upgrade head`."""

from alembic import context
from sqlalchemy import Connection

from provenance.database import connect
from provenance.tables import Table


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Table.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def migrate_url() -> None:
    url = context.get_x_argument(as_dictionary=True).get("url")
    if url is None:
        raise SystemExit("which database? alembic -x url=sqlite:///file upgrade head")
    with connect(url).connect() as connection:
        migrate(connection)


if (given := context.config.attributes.get("connection")) is not None:
    migrate(given)
else:
    migrate_url()
