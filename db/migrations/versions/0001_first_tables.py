"""the catalog's first tables"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "actions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_actions")),
        sa.UniqueConstraint("name", name=op.f("uq_actions_name")),
    )
    op.create_table(
        "clips",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("suffix", sa.String(length=9), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("duration", sa.Float(), nullable=True),
        sa.Column("fps", sa.Float(), nullable=True),
        sa.Column("frames", sa.Integer(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("codec", sa.String(length=40), nullable=True),
        sa.Column("state", sa.Enum("done", "failed", name="filestate", native_enum=False, length=16), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clips")),
        sa.UniqueConstraint("sha256", name=op.f("uq_clips_sha256")),
    )
    with op.batch_alter_table("clips", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_clips_state"), ["state"], unique=False)

    op.create_table(
        "exports",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("path", sa.String(length=1000), nullable=False),
        sa.Column("format", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("clips", sa.JSON(), nullable=False),
        sa.Column("exported_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
    )
    op.create_table(
        "tombstones",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("keyed_hash", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("buried_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tombstones")),
        sa.UniqueConstraint("kind", "keyed_hash", name=op.f("uq_tombstones_kind_keyed_hash")),
    )
    op.create_table(
        "action_tags",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("action_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tag", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_action_tags_action_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_action_tags")),
        sa.UniqueConstraint("action_id", "tag", name=op.f("uq_action_tags_action_id_tag")),
    )
    with op.batch_alter_table("action_tags", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_action_tags_tag"), ["tag"], unique=False)

    op.create_table(
        "crawl_runs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("tag", sa.String(length=200), nullable=False),
        sa.Column("action_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("cursor", sa.JSON(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tool_version", sa.String(length=40), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("downloaded", sa.Integer(), nullable=False),
        sa.Column("known", sa.Integer(), nullable=False),
        sa.Column("filtered", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("gone", sa.Integer(), nullable=False),
        sa.Column("tombstoned", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_crawl_runs_action_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_crawl_runs")),
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("clip_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("action_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "verdict",
            sa.Enum("keep", "mistagged", "duplicate", "unusable", "undo", name="verdict", native_enum=False, length=16),
            nullable=False,
        ),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("annotator", sa.String(length=200), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undoes_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_decisions_action_id")),
        sa.ForeignKeyConstraint(["clip_id"], ["clips.id"], name=op.f("fk_decisions_clip_id")),
        sa.ForeignKeyConstraint(["undoes_id"], ["decisions.id"], name=op.f("fk_decisions_undoes_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
        sa.UniqueConstraint("undoes_id", name=op.f("uq_decisions_undoes_id")),
    )
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_decisions_action_id"), ["action_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_decisions_clip_id"), ["clip_id"], unique=False)

    op.create_table(
        "duplicate_edges",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("a_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("b_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("version", sa.String(length=40), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("exact", "copy", "part", "same-scene", name="edgekind", native_enum=False, length=16),
            nullable=False,
        ),
        sa.Column("offset_s", sa.Float(), nullable=False),
        sa.Column("speed", sa.Float(), nullable=False),
        sa.Column("mirror", sa.Boolean(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["a_id"], ["clips.id"], name=op.f("fk_duplicate_edges_a_id")),
        sa.ForeignKeyConstraint(["b_id"], ["clips.id"], name=op.f("fk_duplicate_edges_b_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duplicate_edges")),
        sa.UniqueConstraint("a_id", "b_id", "version", name=op.f("uq_duplicate_edges_a_id_b_id_version")),
    )
    with op.batch_alter_table("duplicate_edges", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_duplicate_edges_b_id"), ["b_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_duplicate_edges_version"), ["version"], unique=False)

    op.create_table(
        "feature_files",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("clip_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("recipe", sa.String(length=64), nullable=False),
        sa.Column("stride", sa.Integer(), nullable=False),
        sa.Column("streams", sa.String(length=40), nullable=False),
        sa.Column("state", sa.Enum("done", "failed", name="filestate", native_enum=False, length=16), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("snippets", sa.Integer(), nullable=True),
        sa.Column("path", sa.String(length=500), nullable=True),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["clip_id"], ["clips.id"], name=op.f("fk_feature_files_clip_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feature_files")),
        sa.UniqueConstraint("clip_id", "recipe", "stride", name=op.f("uq_feature_files_clip_id_recipe_stride")),
    )
    with op.batch_alter_table("feature_files", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_feature_files_recipe"), ["recipe"], unique=False)

    op.create_table(
        "fingerprints",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("clip_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("version", sa.String(length=40), nullable=False),
        sa.Column("state", sa.Enum("done", "failed", name="filestate", native_enum=False, length=16), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("compared", sa.Boolean(), nullable=False),
        sa.Column("arrays", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["clip_id"], ["clips.id"], name=op.f("fk_fingerprints_clip_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fingerprints")),
        sa.UniqueConstraint("clip_id", "version", name=op.f("uq_fingerprints_clip_id_version")),
    )
    with op.batch_alter_table("fingerprints", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_fingerprints_version"), ["version"], unique=False)

    op.create_table(
        "posts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("platform", sa.String(length=80), nullable=False),
        sa.Column("platform_id", sa.String(length=500), nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("origin", sa.String(length=500), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("uploader_hash", sa.String(length=64), nullable=True),
        sa.Column("caption", sa.Text(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("licence", sa.String(length=200), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "found",
                "downloaded",
                "filtered",
                "failed",
                "gone",
                "tombstoned",
                name="poststate",
                native_enum=False,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("retryable", sa.Boolean(), nullable=False),
        sa.Column("clip_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["clip_id"], ["clips.id"], name=op.f("fk_posts_clip_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_posts")),
        sa.UniqueConstraint("platform", "platform_id", "identity", name=op.f("uq_posts_platform_platform_id_identity")),
    )
    with op.batch_alter_table("posts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_posts_clip_id"), ["clip_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_posts_origin"), ["origin"], unique=False)
        batch_op.create_index(batch_op.f("ix_posts_platform_id"), ["platform_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_posts_state"), ["state"], unique=False)
        batch_op.create_index(batch_op.f("ix_posts_uploader_hash"), ["uploader_hash"], unique=False)

    op.create_table(
        "suspicion_scores",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("clip_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("action_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("signal", sa.String(length=80), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("scored_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_suspicion_scores_action_id")),
        sa.ForeignKeyConstraint(["clip_id"], ["clips.id"], name=op.f("fk_suspicion_scores_clip_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suspicion_scores")),
        sa.UniqueConstraint(
            "clip_id", "action_id", "signal", name=op.f("uq_suspicion_scores_clip_id_action_id_signal")
        ),
    )
    with op.batch_alter_table("suspicion_scores", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_suspicion_scores_action_id"), ["action_id"], unique=False)

    op.create_table(
        "sightings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("post_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("action_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tag", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["action_id"], ["actions.id"], name=op.f("fk_sightings_action_id")),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name=op.f("fk_sightings_post_id")),
        sa.ForeignKeyConstraint(["run_id"], ["crawl_runs.id"], name=op.f("fk_sightings_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sightings")),
        sa.UniqueConstraint("post_id", "action_id", "tag", name=op.f("uq_sightings_post_id_action_id_tag")),
    )
    with op.batch_alter_table("sightings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sightings_action_id"), ["action_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("sightings", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sightings_action_id"))

    op.drop_table("sightings")
    with op.batch_alter_table("suspicion_scores", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_suspicion_scores_action_id"))

    op.drop_table("suspicion_scores")
    with op.batch_alter_table("posts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_posts_uploader_hash"))
        batch_op.drop_index(batch_op.f("ix_posts_state"))
        batch_op.drop_index(batch_op.f("ix_posts_platform_id"))
        batch_op.drop_index(batch_op.f("ix_posts_origin"))
        batch_op.drop_index(batch_op.f("ix_posts_clip_id"))

    op.drop_table("posts")
    with op.batch_alter_table("fingerprints", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_fingerprints_version"))

    op.drop_table("fingerprints")
    with op.batch_alter_table("feature_files", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_feature_files_recipe"))

    op.drop_table("feature_files")
    with op.batch_alter_table("duplicate_edges", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_duplicate_edges_version"))
        batch_op.drop_index(batch_op.f("ix_duplicate_edges_b_id"))

    op.drop_table("duplicate_edges")
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_decisions_clip_id"))
        batch_op.drop_index(batch_op.f("ix_decisions_action_id"))

    op.drop_table("decisions")
    op.drop_table("crawl_runs")
    with op.batch_alter_table("action_tags", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_action_tags_tag"))

    op.drop_table("action_tags")
    op.drop_table("tombstones")
    op.drop_table("exports")
    with op.batch_alter_table("clips", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_clips_state"))

    op.drop_table("clips")
    op.drop_table("actions")
