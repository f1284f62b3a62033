"""The service: tenants and their API keys, jobs, finished pictures, previews, appeals.

The installation's own tenant is there from the start, since the entries made by commands are its.
"""

import time

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels = None
depends_on = None

INDEX = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.BigInteger()  # microseconds since 1970


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("caller", sa.String(length=16), nullable=True),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("upload", sa.LargeBinary(), nullable=True),
        sa.Column("batch", sa.String(length=200), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease", MOMENT, nullable=True),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("fault", sa.String(length=32), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("sent", MOMENT, nullable=False),
        sa.Column("finished", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index("ix_jobs_listed", "jobs", ["tenant", "created", "id"], unique=False)
    op.create_index("ix_jobs_waiting", "jobs", ["state", "kind", "created", "id"], unique=False)
    op.create_table(
        "models",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("seen", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_models")),
    )
    op.create_table(
        "replays",
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("job", sa.String(length=36), nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "key", name=op.f("pk_replays")),
    )
    op.create_table(
        "spent",
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("quota", sa.String(length=16), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "quota", "day", name=op.f("pk_spent")),
    )
    op.create_table(
        "tenants",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("suspended", MOMENT, nullable=True),
        sa.Column("pictures_a_day", sa.Integer(), nullable=False),
        sa.Column("checks_a_day", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
        sa.UniqueConstraint("name", name=op.f("uq_tenants_name")),
    )
    op.create_table(
        "appeals",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("job", sa.String(length=36), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("answered", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_appeals_job_jobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appeals")),
    )
    op.create_index(op.f("ix_appeals_tenant"), "appeals", ["tenant"], unique=False)
    op.create_table(
        "callers",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("scopes", sa.String(length=255), nullable=False),
        sa.Column("token_key", sa.String(length=100), nullable=False),
        sa.Column("hmac", sa.LargeBinary(), nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("expires", MOMENT, nullable=True),
        sa.Column("revoked", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=op.f("fk_callers_tenant_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callers")),
    )
    op.create_table(
        "pictures",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("entry", INDEX, nullable=False),
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("job", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.Column("media", sa.String(length=32), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["entry"], ["entries.index"], name=op.f("fk_pictures_entry_entries")
        ),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_pictures_job_jobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pictures")),
        sa.UniqueConstraint("entry", name=op.f("uq_pictures_entry")),
    )
    op.create_index(op.f("ix_pictures_job"), "pictures", ["job"], unique=False)
    op.create_index("ix_pictures_listed", "pictures", ["tenant", "entry"], unique=False)
    op.create_table(
        "previews",
        sa.Column("job", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("png", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_previews_job_jobs")),
        sa.PrimaryKeyConstraint("job", "number", name=op.f("pk_previews")),
    )
    tenants = sa.table(
        "tenants",
        *(sa.column(c) for c in ("id", "name", "created", "pictures_a_day", "checks_a_day")),
    )
    now = time.time_ns() // 1000
    own = {"id": "local", "name": "local", "created": now}
    op.bulk_insert(tenants, [{**own, "pictures_a_day": 1000, "checks_a_day": 20000}])


def downgrade() -> None:
    op.drop_table("previews")
    op.drop_index("ix_pictures_listed", table_name="pictures")
    op.drop_index(op.f("ix_pictures_job"), table_name="pictures")
    op.drop_table("pictures")
    op.drop_table("callers")
    op.drop_index(op.f("ix_appeals_tenant"), table_name="appeals")
    op.drop_table("appeals")
    op.drop_table("tenants")
    op.drop_table("spent")
    op.drop_table("replays")
    op.drop_table("models")
    op.drop_index("ix_jobs_waiting", table_name="jobs")
    op.drop_index("ix_jobs_listed", table_name="jobs")
    op.drop_table("jobs")
