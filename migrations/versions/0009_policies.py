"""Policies: what may not be drawn, in versions that never change."""

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels = None
depends_on = None

SAME = "tenant = NEW.tenant AND model = NEW.model AND number = NEW.number"


def upgrade() -> None:
    op.create_table(
        "policies",
        sa.Column("tenant", sa.String(length=63), nullable=False),
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("author", sa.String(length=100), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),  # microseconds since 1970
        sa.PrimaryKeyConstraint("tenant", "model", "number", name=op.f("pk_policies")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TRIGGER policies_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON policies "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        return
    refuse = "BEGIN SELECT RAISE(ABORT, 'table policies only grows'); END"
    taken = f"EXISTS (SELECT 1 FROM policies WHERE {SAME})"  # noqa: S608 - our own names
    op.execute(f"CREATE TRIGGER policies_no_update BEFORE UPDATE ON policies {refuse}")
    op.execute(f"CREATE TRIGGER policies_no_delete BEFORE DELETE ON policies {refuse}")
    op.execute(
        f"CREATE TRIGGER policies_no_replace BEFORE INSERT ON policies WHEN {taken} {refuse}"
    )


def downgrade() -> None:
    op.drop_table("policies")
