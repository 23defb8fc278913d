"""Every report as one expression, for every engine: functions of (tables, question) to a table of integers and words.

No engine is named here, and no function is used that one of them lacks (data.md 7.2): times are integers, a group key
is never NULL, a percentile is a nearest rank counted from a histogram, averages and rates are left to
`domain/reports.py`. `tests/reports/test_engines.py` runs each on Postgres, DuckDB and Spark and compares exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import ibis
from ibis.expr import types as ir

from data_pipeline.domain.facts import UNDECIDED
from data_pipeline.domain.questions import Grain, Question, micros_of
from data_pipeline.domain.report_definition import BUCKET, ReportName
from data_pipeline.store.report_columns import (
    NONE,
    age_band,
    answer,
    approved,
    blocked,
    bucket,
    declined,
    score_band,
    total,
)
from data_pipeline.store.report_tables import Tables

PERCENTILES: Final = (50, 95, 99)
MOVES: Final = ("posted", "post")  # kinds of transfers that move money; the others place and release holds


def expression_for(tables: Tables, question: Question) -> ir.Table:
    """The rows that answer the question, in the order of its keys."""
    rows = _EXPRESSIONS[question.name](tables, question)
    return rows.order_by(list(question.keys)) if question.keys else rows


def volume(tables: Tables, question: Question) -> ir.Table:
    p = _payments(tables, question)
    captured, refunded = total(p.captured_minor), total(p.refunded_minor)
    return _grouped(
        p,
        question,
        payment_count=p.count(),
        amount_minor=total(p.amount_minor),
        captured_count=p.count(where=p.captured_minor > 0),
        captured_minor=captured,
        refunded_minor=refunded,
        net_minor=captured - refunded,
    )


def approval(tables: Tables, question: Question) -> ir.Table:
    p = _payments(tables, question)
    is_open = p.status.isin(sorted(UNDECIDED)) & p.approved_us.isnull()
    return _grouped(
        p,
        question,
        payment_count=p.count(),
        approved_count=p.count(where=approved(p)),
        declined_count=p.count(where=declined(p)),
        blocked_count=p.count(where=blocked(p)),
        open_count=p.count(where=is_open & ~blocked(p)),
        other_count=p.count(where=~(approved(p) | declined(p) | blocked(p) | is_open)),
    )


def declines(tables: Tables, question: Question) -> ir.Table:
    p = _payments(tables, question).filter(lambda t: t.status == "declined")
    found = _grouped(p, question, declined_count=p.count(), amount_minor=total(p.amount_minor))
    group = [key for key in question.keys if key != "decline_code"]
    return found.mutate(all_declined_count=found.declined_count.sum().over(group_by=group))


def funnel(tables: Tables, question: Question) -> ir.Table:
    p = _payments(tables, question)
    steps = {
        "assessed_count": p.decision != NONE,
        "passed_count": p.decision != "block",
        "sent_count": p.channel != NONE,
        "approved_count": p.approved_us.notnull(),
        "captured_count": p.captured_minor > 0,
        "kept_count": p.refunded_minor == 0,
    }
    so_far, counts = ibis.literal(value=True), {}
    for name, took in steps.items():
        so_far = so_far & took
        counts[name] = p.count(where=so_far)
    return _grouped(p, question, payment_count=p.count(), **counts)


def channels(tables: Tables, question: Question) -> ir.Table:
    p = _payments(tables, question)
    counted = _grouped(
        p,
        question,
        payment_count=p.count(),
        approved_count=p.count(where=approved(p)),
        declined_count=p.count(where=declined(p)),
        unknown_count=p.count(where=p.status == "unknown"),
        captured_minor=total(p.captured_minor),
        decided_count=p.count(where=p.decided_us.notnull()),
    )
    return _with_spread(counted, _times(p, question).drop("decided_count", "total_ms", "max_ms"), question)


def latency(tables: Tables, question: Question) -> ir.Table:
    return _times(_payments(tables, question), question)


def risk(tables: Tables, question: Question) -> ir.Table:
    facts = tables.during("fact_assessment", "occurred_at", question.after, question.before)
    a = _prepared(tables, facts.mutate(score_band=score_band(facts.score)), question)
    decided = {
        f"{word}_count": a.count(where=a.decision == word)
        for word in ("allow", "challenge", "review", "block")
    }
    return _grouped(a, question, assessment_count=a.count(), **decided, total_score=total(a.score))


def chargebacks(tables: Tables, question: Question) -> ir.Table:
    p = _payments(tables, question)
    t = tables.during("fact_transfer", "occurred_at", question.after)  # no end: disputes come late
    t = t.filter(t.kind == "posted", t.debit.endswith(":disputed") | t.credit.endswith(":disputed"))
    opened = t.debit.endswith(":available")
    lost, returned = t.credit.endswith(":receivable"), t.debit.endswith(":receivable")
    disputes = t.group_by(payment_id=t.aggregate_id).agg(
        disputed_minor=total(t.amount_minor, opened),
        lost_minor=total(t.amount_minor, lost) - total(t.amount_minor, returned),
    )
    p = p.left_join(disputes, "payment_id").filter(lambda both: both.captured_minor > 0)
    # Spark counts rows under a condition that is NULL as NULL: conditions must be known.
    p = p.mutate(disputed_minor=p.disputed_minor.fill_null(0), lost_minor=p.lost_minor.fill_null(0))
    return _grouped(
        p,
        question,
        captured_count=p.count(),
        captured_minor=total(p.captured_minor),
        disputed_count=p.count(where=p.disputed_minor > 0),
        disputed_minor=total(p.disputed_minor),
        lost_count=p.count(where=p.lost_minor > 0),
        lost_minor=total(p.lost_minor),
    )


def fees(tables: Tables, question: Question) -> ir.Table:
    t = _transfers(tables, question)
    earned = total(t.amount_minor, t.credit == "platform:fees")
    returned = total(t.amount_minor, t.debit == "platform:fees")
    costs = total(t.amount_minor, t.debit == "platform:scheme_fees") - total(
        t.amount_minor, t.credit == "platform:scheme_fees"
    )
    found = _grouped(
        t,
        question,
        charged_minor=total(t.amount_minor, t.settled_type == "charge"),
        earned_minor=earned,
        returned_minor=returned,
        channel_costs_minor=costs,
        net_minor=earned - returned - costs,
    )
    moved = (found.charged_minor, found.earned_minor, found.returned_minor)
    return found.filter(ibis.or_(*(one > 0 for one in moved), found.channel_costs_minor != 0))


def settlement(tables: Tables, question: Question) -> ir.Table:
    t = _transfers(tables, question).filter(lambda t: t.settled_type.notnull())
    is_charge, is_refund = t.settled_type == "charge", t.settled_type == "refund"
    charge, refund = total(t.amount_minor, is_charge), total(t.amount_minor, is_refund)
    return _grouped(
        t,
        question,
        charge_count=t.count(where=is_charge),
        charge_minor=charge,
        refund_count=t.count(where=is_refund),
        refund_minor=refund,
        net_minor=charge - refund,
    )


def break_ageing(tables: Tables, question: Question) -> ir.Table:
    end_us = micros_of(question.before)
    b = tables.all("reconciliation_break")
    b = b.filter(b.opened_us < end_us, b.closed_us.isnull() | (b.closed_us >= end_us))
    b = b.mutate(
        age_band=age_band(b.opened_us, end_us),
        currency=ibis.coalesce(b.ledger_currency, b.file_currency, NONE),
    )
    b = _filtered(b, question)
    return _grouped(
        b,
        question,
        break_count=b.count(),
        ledger_minor=total(b.ledger_amount_minor),
        file_minor=total(b.file_amount_minor),
    )


def webhooks(tables: Tables, question: Question) -> ir.Table:
    facts = tables.during("fact_webhook_attempt", "ended_at", question.after, question.before)
    facts = facts.mutate(answer=answer(facts), taken_ms=facts.duration_ms)
    a = _prepared(tables, facts, question)
    delivered, first = a.outcome == "delivered", (a.number == 1) & (a.cycle == 1)
    counted = _grouped(
        a,
        question,
        attempt_count=a.count(),
        delivered_count=a.count(where=delivered),
        given_up_count=a.count(where=a.outcome == "given_up"),
        first_count=a.count(where=first),
        first_delivered_count=a.count(where=first & delivered),
    )
    return _with_spread(counted, _spread(a, question), question)


def cases(tables: Tables, question: Question) -> ir.Table:
    c = _prepared(tables, tables.during("fact_case", "opened_at", question.after, question.before), question)
    is_decided = c.status.isin(["approved", "rejected"])
    counted = _grouped(
        c,
        question,
        case_count=c.count(),
        decided_count=c.count(where=is_decided),
        approved_count=c.count(where=c.status == "approved"),
        rejected_count=c.count(where=c.status == "rejected"),
        two_people_count=c.count(where=is_decided & c.had_proposal),
        in_time_count=c.count(where=is_decided & (c.decided_us.fill_null(0) <= c.due_us)),
        ended_count=c.count(where=c.status == "ended"),
        open_count=c.count(where=c.status == "open"),
        overdue_count=c.count(where=(c.status == "open") & (c.due_us < micros_of(question.before))),
    )
    decided = c.filter(is_decided, c.decided_us.notnull())
    decided = decided.mutate(taken_ms=(decided.decided_us - decided.opened_us) // 1000)
    timed = _with_spread(counted, _spread(decided, question), question)
    return timed.mutate(total_ms=timed.total_ms.fill_null(0))


def case_ageing(tables: Tables, question: Question) -> ir.Table:
    end_us = micros_of(question.before)
    c = tables.all("fact_case")
    c = c.filter(c.opened_us < end_us, c.decided_us.isnull() | (c.decided_us >= end_us))
    c = _filtered(c.mutate(age_band=age_band(c.opened_us, end_us)), question)
    return _grouped(
        c,
        question,
        case_count=c.count(),
        overdue_count=c.count(where=c.due_us < end_us),
        payment_count=total(c.payment_count),
    )


def _payments(tables: Tables, question: Question) -> ir.Table:
    facts = tables.during("fact_payment", "created_at", question.after, question.before)
    facts = facts.mutate(
        channel=facts.channel.fill_null(NONE),
        decision=facts.decision.fill_null(NONE),
        decline_code=facts.decline_code.fill_null(NONE),
        score_band=score_band(facts.score),
    )
    return _prepared(tables, facts, question)


def _transfers(tables: Tables, question: Question) -> ir.Table:
    facts = tables.during("fact_transfer", "occurred_at", question.after, question.before)
    facts = facts.filter(facts.kind.isin(MOVES)).mutate(channel=facts.settled_channel.fill_null(NONE))
    return _prepared(tables, facts, question)


def _prepared(tables: Tables, facts: ir.Table, question: Question) -> ir.Table:
    """Filtered, with its bucket, and a merchant in every row."""
    facts = facts.mutate(merchant_id=facts.merchant_id.fill_null(NONE))
    if question.grain is not Grain.TOTAL:
        facts = facts.mutate(**{BUCKET: bucket(tables, facts, question)})
    return _filtered(facts, question)


def _filtered(facts: ir.Table, question: Question) -> ir.Table:
    for column, wanted in question.filters.items():
        facts = facts.filter(facts[column] == wanted)
    return facts


def _grouped(facts: ir.Table, question: Question, **measures: Any) -> ir.Table:
    """One row a group that has facts; without keys an empty range has no row, rather than one of zeros."""
    groups = facts.group_by(list(question.keys)) if question.keys else facts
    found = groups.agg(fact_count=facts.count(), **measures)
    return found.filter(found.fact_count > 0).drop("fact_count")


def _times(p: ir.Table, question: Question) -> ir.Table:
    """Milliseconds from creation to outcome."""
    p = p.filter(p.decided_us.notnull()).mutate(taken_ms=(p.decided_us - p.created_us) // 1000)
    return _spread(p, question).rename(decided_count="timed_count")


def _spread(facts: ir.Table, question: Question) -> ir.Table:
    """How `taken_ms` is spread: a histogram first, then the ranks in it, exact at any size."""
    keys = list(question.keys)
    times = facts.group_by([*keys, "taken_ms"]).agg(many=facts.count())
    up_to = ibis.window(group_by=keys, order_by=times.taken_ms, preceding=None, following=0)
    times = times.mutate(up_to=times.many.sum().over(up_to), of=times.many.sum().over(group_by=keys))
    ranks = {
        f"p{share}_ms": times.taken_ms.min(where=times.up_to * 100 >= times.of * share)
        for share in PERCENTILES
    }
    return _grouped(
        times,
        question,
        timed_count=total(times.many),
        total_ms=total(times.many * times.taken_ms),
        **ranks,
        max_ms=times.taken_ms.max(),
    )


def _with_spread(counted: ir.Table, spread: ir.Table, question: Question) -> ir.Table:
    """Beside its counts, each group's times, NULL for one that has none. Of reports that are always split."""
    keys = list(question.keys)
    both = counted.join(spread, keys, how="left", rname="spread_{name}")
    added = (name for name in spread.columns if name not in (*keys, "timed_count"))
    return both.select(*counted.columns, *added)


_EXPRESSIONS: Final[Mapping[ReportName, Callable[[Tables, Question], ir.Table]]] = {
    ReportName.VOLUME: volume,
    ReportName.APPROVAL: approval,
    ReportName.DECLINES: declines,
    ReportName.FUNNEL: funnel,
    ReportName.CHANNELS: channels,
    ReportName.LATENCY: latency,
    ReportName.RISK: risk,
    ReportName.CHARGEBACKS: chargebacks,
    ReportName.FEES: fees,
    ReportName.SETTLEMENT: settlement,
    ReportName.BREAK_AGEING: break_ageing,
    ReportName.WEBHOOKS: webhooks,
    ReportName.CASES: cases,
    ReportName.CASE_AGEING: case_ageing,
}
