"""Timestamps of authorities over checkpoints, which only grow, as the log does."""

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels = None
depends_on = None

INDEX = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "timestamps",
        sa.Column("number", INDEX, autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_timestamps")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER timestamps_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON timestamps "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        return
    refuse = "BEGIN SELECT RAISE(ABORT, 'table timestamps only grows'); END"
    taken = "EXISTS (SELECT 1 FROM timestamps WHERE number = NEW.number)"
    for statement in (
        f"CREATE TRIGGER timestamps_no_update BEFORE UPDATE ON timestamps {refuse}",
        f"CREATE TRIGGER timestamps_no_delete BEFORE DELETE ON timestamps {refuse}",
        f"CREATE TRIGGER timestamps_no_replace BEFORE INSERT ON timestamps WHEN {taken} {refuse}",
    ):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("timestamps")
