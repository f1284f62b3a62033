"""When a job forgot what it was given, and an index to find those that are yet to.

Faults of drawings used to repeat the prompt; those that did lose their detail, for good.
"""

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels = None
depends_on = None

MOMENT = sa.BigInteger()  # microseconds since 1970


def upgrade() -> None:
    op.add_column("jobs", sa.Column("forgotten", MOMENT, nullable=True))
    op.create_index("ix_jobs_forgettable", "jobs", ["forgotten", "finished"], unique=False)
    jobs = sa.table("jobs", *(sa.column(c) for c in ("kind", "fault", "detail")))
    told = jobs.c.kind == "generate", jobs.c.fault == "weak-mark"
    op.execute(sa.update(jobs).where(*told).values(detail="the picture cannot carry the mark"))


def downgrade() -> None:
    op.drop_index("ix_jobs_forgettable", table_name="jobs")
    op.execute("ALTER TABLE jobs DROP COLUMN forgotten")
