"""The log: entries, nodes, checkpoints, lookups, which only grow, and openings, which may go."""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None

INDEX = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
APPEND_ONLY = {
    "entries": '"index" = NEW."index"',
    "nodes": "level = NEW.level AND place = NEW.place",
    "checkpoints": "number = NEW.number",
    "lookups": "name = NEW.name AND value = NEW.value AND entry = NEW.entry",
}


def upgrade() -> None:
    op.create_table(
        "entries",
        sa.Column("index", INDEX, autoincrement=False, nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("index", name=op.f("pk_entries")),
    )
    op.create_table(
        "nodes",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("place", INDEX, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "place", name=op.f("pk_nodes")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "checkpoints",
        sa.Column("number", INDEX, autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_checkpoints")),
    )
    op.create_table(
        "lookups",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("entry", INDEX, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("name", "value", "entry", name=op.f("pk_lookups")),
        sa.ForeignKeyConstraint(
            ["entry"], ["entries.index"], name=op.f("fk_lookups_entry_entries")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "openings",
        sa.Column("entry", INDEX, autoincrement=False, nullable=False),
        sa.Column("field", sa.String(512), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("entry", "field", name=op.f("pk_openings")),
        sa.ForeignKeyConstraint(
            ["entry"], ["entries.index"], name=op.f("fk_openings_entry_entries")
        ),
    )
    for statement in _guards():
        op.execute(statement)


def downgrade() -> None:
    for table in ("openings", "lookups", "checkpoints", "nodes", "entries"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change()")


def _guards() -> Iterator[str]:
    """Triggers that refuse to change or delete a row, whoever asks."""
    if op.get_bind().dialect.name == "postgresql":
        yield (
            "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'table % only grows', TG_TABLE_NAME; END $$"
        )
        for table in APPEND_ONLY:
            yield (
                f"CREATE TRIGGER {table}_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
            )
        return
    for table, same in APPEND_ONLY.items():
        refuse = f"BEGIN SELECT RAISE(ABORT, 'table {table} only grows'); END"
        yield f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}"
        yield f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}"
        # INSERT OR REPLACE deletes the old row without asking the trigger above.
        taken = f"EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608 - our own names
        yield f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {taken} {refuse}"
