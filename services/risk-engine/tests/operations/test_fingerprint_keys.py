"""A key is put on top of what e-mails, addresses and devices are named with: windows, lists and snoozes go on."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

from risk_rig import ADA, BOB

from platform_kit.clock import isoformat
from platform_kit.ids import new_id
from platform_kit.problems import NotFound
from risk_engine.api.schemas.assessments import AssessmentRequest
from risk_engine.clients.features import FeatureStore
from risk_engine.domain.facts import fingerprint
from risk_engine.domain.fingerprints import fingerprints_of
from risk_engine.domain.lists import ListType
from risk_engine.domain.snoozes import SnoozedBy
from risk_engine.operations.assess_payment import assess_payment
from risk_engine.operations.deps import Deps, ListsInUse, SnoozesInUse
from risk_engine.operations.find_assessments import find_assessment
from risk_engine.operations.manage_lists import add_entries, follow_lists, make_list
from risk_engine.operations.rebuild_velocity import rebuild_velocity
from risk_engine.operations.snooze_rules import follow_snoozes, snooze_rule

ONE, TWO = "k1:" + "a" * 32, "k2:" + "b" * 32
EMAIL, ADDRESS = "Ada.Lovelace@example.org", "203.0.113.77"


def named_by(deps: Deps, keys: str) -> Deps:
    """A process of the next release: the same database and Redis, another key."""
    fingerprints = fingerprints_of(keys)
    features = FeatureStore(deps.redis, timeout_s=60, named_by=fingerprints.newest)
    return replace(
        deps, fingerprints=fingerprints, features=features, lists=ListsInUse(), snoozes=SnoozesInUse()
    )


async def paid(deps: Deps, number: int) -> dict[str, Any]:
    """What is kept of a payment by the same e-mail from the same address, each with another card."""
    body = AssessmentRequest.model_validate(
        {
            "merchant_id": "mer_1", "idempotency_key": f"key-{number}", "payment_id": new_id("pay"),
            "amount_minor": 1250, "currency": "EUR", "method": "card", "card": f"tok_{number}",
            "customer": {"id": f"sub_{number}", "email": EMAIL, "ip": ADDRESS, "device_id": "d-1"},
            "occurred_at": isoformat(deps.clock.now() - timedelta(minutes=20 - number)),
        }
    )  # fmt: skip
    subject = body.subject(deps.clock.now(), deps.country_of, deps.fingerprints)
    made = await assess_payment(deps, subject)
    async with asyncio.timeout(30):
        while True:  # past its deadline a decision is answered before it is written
            with contextlib.suppress(NotFound):
                return await find_assessment(deps, made["id"])
            await asyncio.sleep(0.05)


def entry() -> dict[str, Any]:
    return {"value": EMAIL, "reason": "Chargebacks.", "expires_at": None}


async def test_windows_lists_and_snoozes_outlive_a_new_key(deps: Deps) -> None:
    await deps.features.mark_warm()
    await make_list(deps, "mails", ListType.EMAIL, None, ADA)
    await add_entries(deps, "mails", [entry()], BOB)
    first = await paid(deps, 1)
    assert first["facts"]["email_count_24h"] == 1
    rule = next(iter(deps.rules.compiled.rules)).rule.id
    await snooze_rule(
        deps, ADA, rule=rule, by=SnoozedBy.IP, assessment_id=first["id"],
        until=deps.clock.now() + timedelta(days=1), reason="an office",
    )  # fmt: skip
    for number, keys in enumerate((ONE, f"{TWO},{ONE}"), 2):
        after = named_by(deps, keys)
        assert not await after.features.is_warm(), "other windows, to be filled"
        await rebuild_velocity(after)
        await follow_lists(after)
        await follow_snoozes(after)
        kept = await paid(after, number)
        named = after.fingerprints.of("email", EMAIL.lower())
        assert kept["request"]["email"] == named != fingerprint("email", EMAIL.lower())
        assert (kept["facts"]["email_count_24h"], kept["facts"]["email_cards_24h"]) == (number, number)
        linked = {name: kept["facts"][name] for name in ("linked_devices", "linked_emails", "linked_cards")}
        assert linked == {"linked_devices": 1, "linked_emails": 1, "linked_cards": number}
        assert "mails" in after.lists.copy.names()
        assert named in after.lists.copy._entries["mails"]
        assert (rule, f"ip:{after.fingerprints.of('ip', ADDRESS)}") in after.snoozes.copy.until
        (again,) = await add_entries(after, "mails", [entry()], BOB)
        assert again["result"] == "renewed", "it is on the list, under an older name"
