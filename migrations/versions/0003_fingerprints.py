"""Fingerprints: what the pictures that entries record look like, to be searched."""

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels = None
depends_on = None

INDEX = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "fingerprints",
        sa.Column("entry", INDEX, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("quality", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_fingerprints")),
        sa.ForeignKeyConstraint(
            ["entry"], ["entries.index"], name=op.f("fk_fingerprints_entry_entries")
        ),
    )


def downgrade() -> None:
    op.drop_table("fingerprints")
