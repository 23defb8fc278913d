"""What the risk engine answers on a day with something to do: two rule sets, a backtest, decisions and a case.

`test_console_risk.py` holds every one of these against the engine's contract.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from platform_kit.clock import isoformat

LIVE, CANDIDATE = "1f" * 32, "c4" * 32
CASE = "cas_" + "0" * 25 + "1"
MERCHANT = "mer_00000000000000000000000001"
RULES = [
    ("velocity-card", "card_count_1h > 5", "block", "More than five payments of a card within an hour"),
    ("foreign-card", "card_country != country && amount > 50000", "review", "A large amount by a foreign card"),
    ("new-device", "device_count_30d == 0 && score > 60", "challenge", "A device that was never seen, and a doubt"),
    ("night-amount", "hour < 5 && amount > 100000", "review", "A very large amount at night"),
]  # fmt: skip
HITS = {"velocity-card": (41, 29, 6), "foreign-card": (87, 22, 38), "new-device": (23, 12, 5)}
"""Hits of a rule, and what became known of them: fraud, legitimate."""
FRAUD_BY_SCORE = [
    (5, 1, 620), (18, 2, 310), (30, 4, 180), (45, 9, 96), (60, 14, 41), (72, 19, 17), (85, 23, 6), (96, 17, 1),
]  # fmt: skip
"""Score, frauds and legitimate payments with it."""


SCORES = {148: 88, 121: 87, 118: 87, 106: 64, 133: 48, 150: 25, 109: 12}
"""Number of a payment of the seeded hour -> its score, the riskiest first."""


def answers(now: datetime) -> dict[str, Any]:
    """Path below `/risk/v1/` -> what is answered."""
    live = _rule_set(LIVE, "standard", "live", RULES[1:3], now - timedelta(days=20))
    candidate = _rule_set(CANDIDATE, "standard, with velocity", "backtested", RULES, now - timedelta(hours=3))
    candidate["document"]["rules"][1]["when"] += " && score > 30"
    summaries = [{k: v for k, v in one.items() if k != "document"} for one in (candidate, live)]
    decisions = [
        _decision(n, f"pay_{payment:026d}", score, now) for n, (payment, score) in enumerate(SCORES.items())
    ]
    riskiest = decisions[0]
    made = {
        f"assessments/{one['id']}": {k: v for k, v in one.items() if k != "hits"} | _record(one)
        for one in decisions
    }
    made |= {
        f"assessments/asm_{payment:026d}/related": {
            "data": _evidence(riskiest, decisions[1:], now)["related"]
        }
        for payment in range(1, 151)
    }
    return made | {
        "rule-sets": {"data": summaries},
        f"rule-sets/{LIVE}": live,
        f"rule-sets/{CANDIDATE}": candidate,
        "deployment/history": {"data": [_publication(now)]},
        "backtests": {"data": [_backtest(now)]},
        "assessments": {"data": decisions, "next_cursor": None, "searched_to": None},
        "cases": {"data": [_case(riskiest, now)], "next_cursor": None},
        f"cases/{CASE}": _case(riskiest, now) | _evidence(riskiest, decisions[1:], now),
        "alerts": {"data": [], "next_cursor": None},
    }


def curve() -> dict[str, Any]:
    """Points of the plots: each score that occurred, and what stopping all from it on would have done."""
    frauds = sum(fraud for _, fraud, _ in FRAUD_BY_SCORE)
    legitimate = sum(good for _, _, good in FRAUD_BY_SCORE)
    points = []
    for place, (score, _, _) in enumerate(FRAUD_BY_SCORE):
        stopped = FRAUD_BY_SCORE[place:]
        fraud, good = sum(row[1] for row in stopped), sum(row[2] for row in stopped)
        points.append(
            {
                "score_from": score,
                "stopped": _share(fraud + good, frauds + legitimate) | {"number": fraud + good},
                "precision": _share(fraud, fraud + good),
                "recall": _share(fraud, frauds),
                "frauds_stopped": fraud,
                "fraud_stopped_minor": fraud * 9_500,
                "good_stopped": _share(good, legitimate) | {"number": good},
                "good_stopped_minor": good * 4_200,
                "money_saved_minor": (fraud - 40) * 9_500,
            }
        )
    return {
        "payments": 1_500,
        "frauds": frauds,
        "fraud_minor": frauds * 9_500,
        "legitimate": legitimate,
        "points": points,
    }


def _share(part: int, whole: int) -> dict[str, Any]:
    share = part / whole if whole else None
    margin = 0.05 if share is not None else 0
    return {"share": share, "low_95": max(0, (share or 0) - margin), "high_95": min(1, (share or 0) + margin)}


def _rule_set(
    name_hash: str, name: str, status: str, rules: list[tuple[str, str, str, str]], at: datetime
) -> dict[str, Any]:
    is_live = status == "live"
    return {
        "hash": name_hash,
        "object": "rule_set",
        "name": name,
        "status": status,
        "rule_count": len(rules),
        "saved_by": "ada",
        "approved_by": "bob" if is_live else None,
        "note": "read, tried" if is_live else None,
        "created_at": isoformat(at),
        "approved_at": isoformat(at) if is_live else None,
        "published_at": isoformat(at) if is_live else None,
        "document": {
            "name": name,
            "reference_currency": "EUR",
            "rules": [{"id": i, "when": when, "then": then, "text": text} for i, when, then, text in rules],
        },
    }


def _publication(now: datetime) -> dict[str, Any]:
    return {
        "publication": 1,
        "object": "rule_set_publication",
        "act": "publish",
        "hash": LIVE,
        "challenger": None,
        "challenger_share_bp": None,
        "acted_by": "bob",
        "published_at": isoformat(now - timedelta(days=20)),
    }


def _backtest(now: datetime) -> dict[str, Any]:
    return {
        "id": "btest_1",
        "object": "backtest",
        "rule_set": CANDIDATE,
        "since": isoformat(now - timedelta(days=30)),
        "until": isoformat(now),
        "asked_by": "ada",
        "asked_at": isoformat(now - timedelta(hours=2)),
        "status": "done",
        "done": 1_540,
        "total": 1_540,
        "failure": None,
        "finished_at": isoformat(now - timedelta(hours=2)),
        "report": {
            "payments": 1_540,
            "labelled": 1_360,
            "frauds": 89,
            "fraud_minor": 845_500,
            "left_out": {"label_unknown": 180},
            "decided": _side(96, 40, 22, 34, 44),
            "tried": _side(133, 63, 26, 63, 49),
            "money_saved_minor": 218_500,
            "good_customers_hurt": 4,
            "difference": {"since": isoformat(now - timedelta(days=30)), "payments": 1_540, "live_alert_rate": 0.062,
                           "challenger_alert_rate": 0.086, "change": 0.024, "change_95": [0.012, 0.036],
                           "stricter": 41, "milder": 4},
            "changed": [{"was": "allow", "would": "block", "number": 33},
                        {"was": "review", "would": "allow", "number": 4}],
            "rules": {
                rule: {"hits": hits, "fraud": fraud, "legitimate": good, "precision": _share(fraud, fraud + good)}
                for rule, (hits, fraud, good) in HITS.items()
            },
            "curve": curve(),
            "took_s": 1.8,
        },
    }  # fmt: skip


def _side(alerts: int, on_fraud: int, good_stopped: int, stopped: int, on_good: int) -> dict[str, Any]:
    return {
        "decisions": {"allow": 1_540 - alerts, "review": alerts - stopped, "challenge": 0, "block": stopped},
        "alert_rate": _share(alerts, 1_540),
        "precision": _share(on_fraud, on_fraud + on_good),
        "recall": _share(on_fraud, 89),
        "frauds_stopped": stopped,
        "fraud_stopped_minor": stopped * 9_500,
        "good_stopped": _share(good_stopped, 1_271) | {"number": good_stopped},
        "good_stopped_minor": good_stopped * 4_200,
    }


def _decision(number: int, payment_id: str, score: int, now: datetime) -> dict[str, Any]:
    decision = "review" if number == 0 else "block" if score > 80 else "challenge" if score > 45 else "allow"
    reasons = [
        {"code": "foreign_card", "text": "The card was issued in another country than the customer's"},
        {"code": "velocity", "text": "Many payments of this card within an hour"},
    ]
    return {
        "id": f"asm_{number:026d}",
        "object": "assessment",
        "merchant_id": MERCHANT,
        "payment_id": payment_id,
        "decision": decision,
        "score": score,
        "probability_ppm": score * 10_000,
        "reasons": reasons if score > 45 else reasons[:1] if score > 20 else [],
        "rule_set": LIVE,
        "model": "mdl_2026_11",
        "degraded": ["geography"] if number == 3 else [],
        "expires_at": isoformat(now + timedelta(days=60)),
        "request": {
            "amount_minor": 4_990 + 1_375 * (score % 17),
            "currency": "EUR",
            "method": "card",
            "card_country": "BR" if score > 45 else "DE",
            "customer": {"country": "DE", "id": "sub_1"},
        },
        "hits": ["foreign-card", "new-device"] if score > 45 else [],
        "created_at": isoformat(now - timedelta(seconds=40 + 95 * number)),
    }


def _record(one: dict[str, Any]) -> dict[str, Any]:
    counts = {
        "card_count_10m": 3,
        "card_count_1h": 7,
        "card_count_1d": 9,
        "card_sum_1h": 41_200,
        "card_sum_1d": 63_900,
    }
    return {
        "facts": counts | {"device_count_30d": 0, "ip_cards_1d": 4, "hour": 12},
        "trace": {"hits": one["hits"], "errors": [], "skipped": [], "snoozed": [], "let_through": False,
                  "timings_us": {"facts": 812, "model": 344, "rules": 126}},
        "explanation": {
            "model": "mdl_2026_11",
            "reasons": [
                {"code": "velocity", "text": "Payments of the card within an hour", "feature": "card_count_1h",
                 "value": 7.0, "contribution": 1.42},
                {"code": "foreign_card", "text": "The card is of another country", "feature": "is_foreign_card",
                 "value": 1.0, "contribution": 0.61},
                {"code": "known_customer", "text": "Days since the customer's first payment",
                 "feature": "customer_age_d", "value": 412.0, "contribution": -0.38},
            ],
        },
        "other": None,
        "is_late": False,
    }  # fmt: skip


def _case(riskiest: dict[str, Any], now: datetime) -> dict[str, Any]:
    return {
        "id": CASE,
        "object": "case",
        "kind": "review",
        "merchant_id": MERCHANT,
        "status": "open",
        "priority": "high",
        "amount_reference_minor": riskiest["request"]["amount_minor"],
        "reference_currency": "EUR",
        "payment_count": 1,
        "opened_at": riskiest["created_at"],
        "due_at": isoformat(now + timedelta(minutes=25)),
        "overdue": False,
        "assignee": None,
        "locked_by": None,
        "locked_until": None,
        "proposed": None,
        "proposed_by": None,
        "verdict": None,
        "closed_by": None,
        "closed_at": None,
    }


def appealed(now: datetime) -> dict[str, Any]:
    """Path below `/risk/v1/` -> what is answered when the case is an appeal."""
    told = answers(now)
    record = told[f"cases/{CASE}"]
    appeal = {
        "id": f"apl_{1:026d}",
        "object": "appeal",
        "merchant_id": MERCHANT,
        "assessment_id": record["payments"][0]["assessment_id"],
        "payment_id": record["payments"][0]["payment_id"],
        "decision": "block",
        "status": "open",
        "text": "A person will look at the payment again.",
        "by": "cardholder",
        "reason": "A customer of ten years, abroad for a week.",
        "case_id": CASE,
        "recorded_by": "system:platform",
        "made_at": isoformat(now - timedelta(hours=1)),
        "due_at": isoformat(now + timedelta(hours=23)),
        "decided_at": None,
    }
    record |= {"kind": "appeal", "appeal": appeal}
    told["cases"]["data"][0] |= {"kind": "appeal"}
    return told


def _evidence(riskiest: dict[str, Any], others: list[dict[str, Any]], now: datetime) -> dict[str, Any]:
    names = ("payment_id", "score", "reasons", "request")
    return {
        "payments": [
            {name: riskiest[name] for name in names}
            | {"assessment_id": riskiest["id"], "amount_minor": riskiest["request"]["amount_minor"], "currency": "EUR",
               "added_at": riskiest["created_at"], "status": "held", "effect": None}
        ],
        "related": [
            {"payment_id": one["payment_id"], "assessment_id": one["id"], "merchant_id": MERCHANT,
             "shares": ["card", "ip"] if one["score"] > 45 else ["ip"], "decision": one["decision"],
             "score": one["score"], "amount_minor": one["request"]["amount_minor"], "currency": "EUR",
             "occurred_at": one["created_at"]}
            for one in others[:4]
        ],
        "appeal": None,
        "acts": [
            {"id": 1, "at": riskiest["created_at"], "actor": "system:risk-engine", "kind": "opened", "before": {},
             "after": {}, "text": None},
            {"id": 2, "at": isoformat(now - timedelta(seconds=20)), "actor": "bob", "kind": "noted", "before": {},
             "after": {}, "text": "Asked the merchant for the delivery address."},
        ],
    }  # fmt: skip
