"""What decides the exit code, piece by piece: objectives, the generator's own conduct, exact percentiles, the audit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtests.audit import claims_of, compare_webhooks, one_payment_per_key
from loadtests.figures import Begun, Figures, by_stage, by_step, knee
from loadtests.journal import Entry, Journal, read_journal
from loadtests.percentiles import curve, hdr_lines, percentile
from loadtests.profile import Arrivals, Profile, Stage
from loadtests.samples import Sample
from loadtests.schedule import Arrival, plan
from loadtests.shop import outcome_of
from loadtests.slo import judge, read_slo
from loadtests.strict import WrongFile
from loadtests.verdict import ExitCode, exit_code, weigh_generator
from platform_cli.audit.compare import audit
from platform_cli.audit.witnesses import Evidence

MS = [float(n) for n in range(1, 1001)]


def figures(name: str = "pay", errors: int = 0, values: list[float] = MS) -> Figures:
    return Figures(name, {"ok": len(values) - errors, "failed": errors}, errors, values, values)


# --- objectives ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"p50_ms": 499}, "pay: p50 was 500 ms, allowed are 499 ms"),
        ({"p99_ms": 989}, "pay: p99 was 990 ms, allowed are 989 ms"),
        ({"p999_ms": 998}, "pay: p99.9 was 999 ms, allowed are 998 ms"),
        ({"error_share_max": 0.001}, "pay: 0.20% errors, allowed are 0.10%"),
        ({"requests_min": 1001}, "pay: 1000 requests, at least 1001 are needed"),
    ],
)
def test_each_limit_is_held(limits: dict[str, float], sentence: str) -> None:
    found = judge({"pay": figures(errors=2)}, {"pay": limits}, {"pay"})
    assert [objective.sentence for objective in found if not objective.is_kept] == [sentence]


def test_figures_at_their_limits_pass_and_requests_that_never_came_do_not() -> None:
    slo = {"pay": {"p50_ms": 500.0, "error_share_max": 0.002, "requests_min": 1000.0}}
    assert all(objective.is_kept for objective in judge({"pay": figures(errors=2)}, slo, {"pay"}))
    missing = judge({}, slo, {"pay"})
    assert {objective.sentence for objective in missing} == {"pay: there was no such request"}
    assert judge({}, slo, {"refund"}) == [], "a profile without payments is not asked for them"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("every: {pay: {p95: 100}}", "unknown limit 'p95'; did you mean 'p95_ms'?"),
        ("every: {capure: {p95_ms: 100}}", "unknown request 'capure'; did you mean 'capture'?"),
        ("evry: {pay: {p95_ms: 100}}", "unknown key 'evry'; did you mean 'every'?"),
        ("every: {pay: {p95_ms: fast}}", "'fast' is not a number"),
    ],
)
def test_a_typo_in_the_objectives_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "slo.yaml"
    file.write_text(text)
    with pytest.raises(WrongFile) as refused:
        read_slo("smoke", file)
    assert complaint in str(refused.value)


def test_a_profile_s_own_objectives_replace_single_limits(tmp_path: Path) -> None:
    file = tmp_path / "slo.yaml"
    file.write_text("every: {all: {p99_ms: 1, p50_ms: 2}}\nprofiles: {spike: {all: {p99_ms: 9}}}\n")
    assert read_slo("spike", file) == {"all": {"p99_ms": 9, "p50_ms": 2}}
    assert read_slo("steady", file) == {"all": {"p99_ms": 1, "p50_ms": 2}}


# --- percentiles -----------------------------------------------------------------------------------------------------


def test_percentiles_are_values_that_were_measured() -> None:
    assert [percentile(MS, share) for share in (0.5, 0.99, 0.999, 1.0)] == [500, 990, 999, 1000]
    assert percentile([147.0], 0.99) == 147.0, "Locust would say 150"
    assert percentile(sorted([1.0] * 99 + [5000.0]), 0.99) == 1.0
    assert percentile(sorted([1.0] * 98 + [5000.0] * 2), 0.99) == 5000.0


def test_a_curve_shows_no_percentile_that_the_samples_cannot_tell() -> None:
    assert [p for p, _ in curve(MS[:100])][-2:] == [99, 100]
    lines = list(hdr_lines(MS))
    assert "500.000 0.500000000000        500           2.00" in "".join(lines)


# --- the generator's conduct -----------------------------------------------------------------------------------------

PROFILE = Profile("t", "t", (Stage("only", 10, 10, Arrivals.CONSTANT),), {"pay": 1})


def conduct(late: dict[int, float], **report: Any) -> tuple[str, ...]:
    """Why a run is invalid in which arrivals of these numbers were begun so many seconds late."""
    planned = plan(PROFILE)
    begun = [
        Begun(a.number, "pay", 0, a.at_s, a.at_s + late.get(a.number, 0.0), a.at_s + 30) for a in planned
    ]
    stages = by_stage(PROFILE, planned, begun, [])
    told = {"generators": 1, "wall_s": 10, "cpu_s": 1, **report}
    return weigh_generator(stages, begun, told, closed=False).reasons


def test_a_generator_on_time_is_valid_however_long_the_answers_took() -> None:
    assert conduct({}) == ()


def test_two_of_a_hundred_may_be_late_and_three_may_not() -> None:
    assert conduct({98: 5.0, 99: 5.0}) == ()
    reasons = conduct({97: 5.0, 98: 5.0, 99: 5.0})
    assert reasons[0].startswith("only 97.0% of the arrivals were begun in time")
    assert "stage only: 9.7/s of 10.0/s" in reasons[1]


def test_a_lost_worker_a_generator_that_died_and_a_full_pool_are_invalid() -> None:
    assert "1 of the load's workers were lost" in conduct({}, lost_workers=1)[0]
    assert conduct({}, generators=0) == ("the generator did not finish",)
    assert "wait for a free connection" in conduct({}, held_back=3)[0]


@pytest.mark.parametrize(
    ("reasons", "kept", "stands", "code"),
    [
        ((), True, True, ExitCode.KEPT),
        ((), False, True, ExitCode.BROKEN),
        ((), True, False, ExitCode.BROKEN),
        (("late",), True, True, ExitCode.INVALID),
        (("late",), False, True, ExitCode.INVALID),
        (("late",), True, False, ExitCode.BROKEN),  # a bad generator is no excuse for lost money
    ],
)
def test_the_exit_code(reasons: tuple[str, ...], kept: bool, stands: bool, code: ExitCode) -> None:
    generator = weigh_generator([], [], {"generators": 1}, closed=True)
    assert exit_code(replace(generator, reasons=reasons), all_kept=kept, audit_stands=stands) is code


def test_the_knee_is_the_last_step_before_the_first_that_was_not_kept() -> None:
    stages = tuple(Stage(str(rate), rate, 10, Arrivals.CONSTANT) for rate in (10, 20, 40))
    profile = Profile("t", "t", stages, {"pay": 1})
    planned = plan(profile)
    begun = [Begun(a.number, "pay", a.stage, a.at_s, a.at_s, a.at_s + 1) for a in planned]

    def at(slow_from: int) -> str | None:
        def took(arrival: Arrival) -> float:
            return 5 if arrival.stage >= slow_from else 0.1

        samples = [
            Sample(a.number, "pay", "pay", a.stage, a.at_s, a.at_s, a.at_s + took(a), 201, "ok")
            for a in planned
        ]
        found = knee(by_stage(profile, planned, begun, samples), 1000, 0.01)
        return found and found.name

    assert [at(n) for n in (0, 1, 2, 3)] == [None, "10", "20", "40"]


def test_waiting_for_a_webhook_is_not_a_request_to_the_platform() -> None:
    samples = [
        Sample(1, "webhook", "pay", 0, 0.0, 0.0, 0.1, 201, "ok"),
        Sample(1, "webhook", "webhook", 0, 0.1, 0.1, 5.0, 200, "ok"),
    ]
    steps = by_step(samples, [])
    assert steps["all"].requests == 1
    assert steps["webhook"].latency(1.0) == pytest.approx(4900)


# --- classification --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "answer", "expected", "outcome"),
    [
        (201, {"status": "captured"}, ("captured",), "ok"),
        (201, {"status": "declined"}, ("declined",), "declined"),
        (201, {"status": "declined"}, ("captured",), "wrong"),
        (201, {"status": "captured"}, ("declined",), "wrong"),
        (201, {"status": "declined", "risk": {"decision": "block"}}, ("captured",), "declined"),
        (201, {"status": "authorised", "risk": {"decision": "review"}}, ("captured",), "held"),
        (201, {"status": "requires_action"}, ("captured",), "challenged"),
        (202, {"status": "unknown"}, ("captured",), "pending"),
        (200, {"status": "captured"}, ("captured",), "wrong"),
        (409, {"type": "x/idempotency-in-progress"}, ("captured",), "refused"),
        (429, {"type": "x/rate-limited"}, ("captured",), "limited"),
        (503, {"type": "x/overloaded"}, ("captured",), "shed"),
        (503, {"type": "x/not-committed"}, ("captured",), "failed"),
        (500, {}, ("captured",), "failed"),
    ],
)
def test_answers_are_classified_by_contract_and_not_by_their_number(
    code: int, answer: dict[str, Any], expected: tuple[str, ...], outcome: str
) -> None:
    assert outcome_of(code, answer, 201, expected) == outcome


# --- the audit's own parts -------------------------------------------------------------------------------------------


def paid(key: str = "k1", payment_id: str = "pay_1", **told: Any) -> Entry:
    whole = {
        "id": payment_id,
        "status": "captured",
        "amount_minor": 900,
        "captured_minor": 900,
        "refunded_minor": 0,
    }
    whole |= {"currency": "EUR", **told}
    return Entry(key, "payment", "/v1/payments", {"amount_minor": 900}, None, "ok", 201, whole, {payment_id})


def evidence(*payments: dict[str, Any]) -> Evidence:
    return Evidence({payment["id"]: payment for payment in payments}, None, None, {}, None, [], None, None)


def kept(entry: Entry, **changes: Any) -> dict[str, Any]:
    return {**entry.told, "reference": entry.key, **changes}


def test_the_journal_knows_a_key_before_it_is_sent(tmp_path: Path) -> None:
    journal = Journal.at(tmp_path / "journal.jsonl")
    journal.intend("k1", "payment", "/v1/payments", {"amount_minor": 900}, None)
    assert read_journal(tmp_path / "journal.jsonl") == [
        Entry("k1", "payment", "/v1/payments", {"amount_minor": 900}, None, "unanswered")
    ]
    journal.conclude("k1", "ok", 201, {"id": "pay_1", "status": "captured", "customer": {"name": "not kept"}})
    (entry,) = read_journal(tmp_path / "journal.jsonl")
    assert (entry.outcome, entry.told) == ("ok", {"id": "pay_1", "status": "captured"})


def test_a_torn_last_line_of_a_killed_generator_is_left_out(tmp_path: Path) -> None:
    journal = Journal.at(tmp_path / "journal.jsonl")
    journal.intend("k1", "payment", "/v1/payments", {}, None)
    journal.append(b'{"intent": "k2", "ki')
    assert [entry.key for entry in read_journal(tmp_path / "journal.jsonl")] == ["k1"]


def test_acts_are_part_of_what_was_acknowledged() -> None:
    held = paid(status="authorised", captured_minor=0)
    capture = Entry(
        "c",
        "capture",
        "/x",
        {},
        "pay_1",
        "ok",
        200,
        {"id": "pay_1", "status": "captured", "captured_minor": 900},
    )
    given_back = {"id": "rf_1", "status": "succeeded"}
    refund = Entry("r", "refund", "/x", {"amount_minor": 300}, "pay_1", "ok", 201, given_back)
    (claim,) = claims_of([held, capture, refund])
    assert (claim.told["status"], claim.told["captured_minor"], claim.told["refunded_minor"]) == (
        "captured",
        900,
        300,
    )
    assert (
        audit([claim], evidence(kept(held, status="captured", captured_minor=900, refunded_minor=300))) == []
    )
    forgotten = audit([claim], evidence(kept(held, status="captured", captured_minor=900)))
    assert [finding.kind for finding in forgotten] == ["lost"]


def test_a_key_that_was_answered_with_two_payments_is_a_double() -> None:
    entry = paid()
    entry.hear("wrong", 201, {"id": "pay_2"})
    assert [f.kind for f in one_payment_per_key([entry], evidence())] == ["doubled"]
    assert entry.replay_is_equal is False


def test_a_request_that_was_turned_away_has_no_payment() -> None:
    shed = Entry("k9", "payment", "/v1/payments", {}, None, "shed", 503)
    assert list(one_payment_per_key([shed], evidence())) == []
    broken_word = evidence(kept(paid("k9")))
    assert [f.kind for f in one_payment_per_key([shed], broken_word)] == ["wrong"]


def test_a_witness_that_was_not_asked_is_named() -> None:
    assert evidence().silent == ["the channels' journals", "the event log", "the warehouse", "the ledger"]


EVENT = {"id": "evt_1", "type": "payment.captured.v1", "occurred_at": "2026-01-01T00:00:00Z"}
DELIVERY = {"at": 1767225600.25, "event_id": "evt_1", "type": "payment.captured.v1", "first": True}


@pytest.mark.parametrize(
    ("deliveries", "kinds"),
    [
        ([DELIVERY], []),
        ([DELIVERY, {**DELIVERY, "first": False}], []),  # again, without effect: at least once is the promise
        ([], ["lost"]),
        ([DELIVERY, DELIVERY], ["doubled"]),
        ([DELIVERY, {"at": 1.0, "forged": True, "event_id": "evt_1"}], ["wrong"]),
        ([DELIVERY, {**DELIVERY, "event_id": "evt_9"}], ["wrong"]),
    ],
)
def test_each_event_has_its_effect_once(deliveries: list[dict[str, Any]], kinds: list[str]) -> None:
    found, findings = compare_webhooks({"evt_1": EVENT}, deliveries)
    assert [finding.kind for finding in findings] == kinds
    if deliveries == [DELIVERY]:
        assert found.first_attempt_ms == pytest.approx([250.0])
