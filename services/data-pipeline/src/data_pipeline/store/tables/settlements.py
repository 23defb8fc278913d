"""Settlements of merchants: batches, and the movements of the ledger that each consists of."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    text,
)

from data_pipeline.domain.settlement_batch import Section, State
from data_pipeline.store.tables.schema import Text, Time, metadata, one_of

SECTIONS = tuple(section for section in Section if section is not Section.BETWEEN)

# Triggers keep what a closed batch says from being changed, its states from going back, and lines from being added.
settlement_batch = Table(
    "settlement_batch",
    metadata,
    Column("id", Text, primary_key=True),
    Column("merchant_id", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("opened_at", Time, nullable=False),
    Column("closes_at", Time, nullable=False),
    Column("opening_minor", BigInteger, nullable=False),
    *(
        Column(f"{section}_minor", BigInteger, nullable=False, server_default=text("0"))
        for section in SECTIONS
    ),
    Column("closing_minor", BigInteger, nullable=False),
    Column("accounts", JSON, nullable=False),  # account -> {opening_minor, closing_minor}
    Column("line_count", BigInteger, nullable=False, server_default=text("0")),
    Column("late_count", BigInteger, nullable=False, server_default=text("0")),
    Column("position", BigInteger, nullable=False),
    Column("seen_from", Time),  # nothing that came before this is late in it
    Column("refreshed_at", Time, nullable=False),
    Column("closed_at", Time),
    Column("closed_by", Text),
    Column("generated_at", Time),
    Column("paid_at", Time),
    Column("reconciled_at", Time),
    Column("manifest", JSON),
    Column("came_back_minor", BigInteger, nullable=False, server_default=text("0")),  # of the payouts
    Column("checked_at", Time),  # when it was last compared with the facts
    Column("differences", JSON(none_as_null=True)),  # what was found then; NULL: it agreed
    Column(
        "merchant_name", String
    ),  # in force when it was closed; none of batches closed before names were told
    UniqueConstraint("merchant_id", "currency", "number"),
    CheckConstraint("opened_at < closes_at", name="period"),
    CheckConstraint(
        " + ".join(["opening_minor", *(f"{section}_minor" for section in SECTIONS)]) + " = closing_minor",
        name="nets",
    ),
    CheckConstraint(
        "(state = 'open') = (closed_at IS NULL) AND (closed_at IS NULL) = (closed_by IS NULL)", name="closed"
    ),
    one_of("state", State),
)
Index(
    "settlement_batch_open_idx",
    settlement_batch.c.merchant_id,
    settlement_batch.c.currency,
    unique=True,
    postgresql_where=text("state = 'open'"),
)
Index("settlement_batch_latest_idx", settlement_batch.c.closes_at.desc(), settlement_batch.c.id.desc())
# A page of what is rare among many: a state that hardly any batch is in, a currency that hardly any has.
for _name in ("state", "currency"):
    Index(
        f"settlement_batch_{_name}_idx",
        settlement_batch.c[_name],
        settlement_batch.c.closes_at.desc(),
        settlement_batch.c.id.desc(),
    )
Index(
    "settlement_batch_merchant_idx",
    settlement_batch.c.merchant_id,
    settlement_batch.c.closes_at.desc(),
    settlement_batch.c.id.desc(),
)
Index(
    "settlement_batch_on_its_way_idx",
    settlement_batch.c.state,
    postgresql_where=text("state IN ('closed', 'generated', 'paid')"),
)
# Those never looked at first, then the one whose look is oldest.
Index(
    "settlement_batch_check_idx",
    settlement_batch.c.checked_at.asc().nulls_first(),
    settlement_batch.c.id,
    postgresql_where=text("state <> 'open'"),
)
Index(
    "settlement_batch_differs_idx",
    settlement_batch.c.id,
    postgresql_where=settlement_batch.c.differences.is_not(None),
)

# Append-only by grant. The key is the ledger's: a movement is in one batch or in none.
settlement_line = Table(
    "settlement_line",
    metadata,
    Column("journal_id", Text, primary_key=True),
    Column("line", SmallInteger, primary_key=True),
    Column("batch_id", Text, nullable=False),
    Column("section", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("occurred_at", Time, nullable=False),
    Column("object_id", Text, nullable=False),
    Column("reference", Text),
    Column("debit", Text, nullable=False),
    Column("credit", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("effect_minor", BigInteger, nullable=False),
    Column("is_late", Boolean, nullable=False),
    Column("position", BigInteger, nullable=False),
    CheckConstraint("amount_minor > 0 AND abs(effect_minor) IN (0, amount_minor)", name="amounts"),
    one_of("section", Section),
)
Index(
    "settlement_line_batch_idx",
    settlement_line.c.batch_id,
    settlement_line.c.occurred_at,
    settlement_line.c.journal_id,
    settlement_line.c.line,
)
Index(
    "settlement_line_payouts_idx",
    settlement_line.c.batch_id,
    postgresql_where=settlement_line.c.section == text("'payouts'"),
)

# Movements of merchants' accounts that no batch had or would have taken, as they were found: the next batch takes them.
left_out_movement = Table(
    "left_out_movement",
    metadata,
    Column("journal_id", Text, primary_key=True),
    Column("line", SmallInteger, primary_key=True),
    Column("merchant_id", Text),
    Column("currency", Text, nullable=False),
    Column("found_at", Time, nullable=False),
)
Index("left_out_movement_merchant_idx", left_out_movement.c.merchant_id, left_out_movement.c.currency)
Index(
    "left_out_movement_latest_idx",
    left_out_movement.c.found_at.desc(),
    left_out_movement.c.journal_id.desc(),
    left_out_movement.c.line.desc(),
)

# How far movements were looked for, in one row: what is new, and all of it, round after round.
settlement_walk = Table(
    "settlement_walk",
    metadata,
    Column("is_only", Boolean, primary_key=True, server_default=text("true")),
    Column("followed_position", BigInteger, nullable=False, server_default=text("0")),
    Column("walked_position", BigInteger, nullable=False, server_default=text("0")),
    Column("looked_at", Time),
    Column("began_at", Time),  # the round that is under way, or was last
    Column("ended_at", Time),  # the last whole round
    CheckConstraint("is_only", name="is_only"),
)
