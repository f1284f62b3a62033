"""Which blobs the results of jobs name, and indexes to find who points to a blob."""

import json

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attached",
        sa.Column("job", sa.String(length=36), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_attached_job_jobs")),
        sa.PrimaryKeyConstraint("job", "blob", name=op.f("pk_attached")),
    )
    op.create_index(op.f("ix_attached_blob"), "attached", ["blob"], unique=False)
    op.create_index(op.f("ix_jobs_upload"), "jobs", ["upload"], unique=False)
    op.create_index(op.f("ix_pictures_blob"), "pictures", ["blob"], unique=False)
    op.create_index(op.f("ix_replays_created"), "replays", ["created"], unique=False)
    _attach_what_is_there()


def _attach_what_is_there() -> None:
    """The overlays of verifications so far."""
    jobs = sa.table("jobs", sa.column("id"), sa.column("kind"), sa.column("result"))
    attached = sa.table("attached", sa.column("job"), sa.column("blob"))
    done = sa.select(jobs.c.id, jobs.c.result).where(
        jobs.c.kind == "verify", jobs.c.result.is_not(None)
    )
    for job, result in op.get_bind().execute(done).all():
        document = json.loads(result) if isinstance(result, str) else result
        digests = {bytes.fromhex(one["sha256"]) for one in document.get("overlays", [])}
        if digests:
            op.bulk_insert(attached, [{"job": job, "blob": digest} for digest in digests])


def downgrade() -> None:
    op.drop_index(op.f("ix_replays_created"), table_name="replays")
    op.drop_index(op.f("ix_pictures_blob"), table_name="pictures")
    op.drop_index(op.f("ix_jobs_upload"), table_name="jobs")
    op.drop_index(op.f("ix_attached_blob"), table_name="attached")
    op.drop_table("attached")
