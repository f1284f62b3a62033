"""The trace that a job belongs to, the address that it fetches, and what the workers count."""

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("trace", sa.String(length=55), nullable=True))
    op.add_column("jobs", sa.Column("source", sa.Text(), nullable=True))
    op.create_table(
        "counts",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("labels", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", "labels", name=op.f("pk_counts")),
    )


def downgrade() -> None:
    op.drop_table("counts")
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("source")
        jobs.drop_column("trace")
