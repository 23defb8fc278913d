"""Breaks over HTTP: worked on by people with names, booked once, kept in a history that only grows."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from typing import Any

import orjson
import pytest
from pipeline_rig import (
    NOON,
    TODAY,
    TOKEN,
    World,
    a_journal,
    a_line,
    a_sale,
    an_attempt,
    an_event,
    ingest,
    rows,
)
from running_service import Service, employ
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from data_pipeline.store import operators

RUN = {"date": TODAY.isoformat(), "channel": "card_sim"}
KNOWN = {"Authorization": f"Bearer {TOKEN}"}
REFUSED = {"type": "/problems/suspense-differs", "detail": "The channel is closed."}


@pytest.fixture(autouse=True)
async def _operators(service: Service) -> None:
    """Who may close breaks, and who may not."""
    await employ(service.deps, ada="finance", grace="admin", olga="operator", vera="viewer")


async def run(service: Service, world: World, *lines: Any) -> None:
    world.settle(lines)
    assert (await service.post("/v1/reconciliations", RUN))[0] == 201


async def the_break(service: Service, query: str = "open=true") -> dict[str, Any]:
    [found] = (await service.get(f"/v1/breaks?{query}", headers=KNOWN))["data"]
    return dict(found)


async def the_one(service: Service, break_id: str) -> dict[str, Any]:
    return dict(await service.get(f"/v1/breaks/{break_id}", headers=KNOWN))


async def act(
    service: Service, break_id: str, word: str, by: str = "ada", **body: Any
) -> tuple[int, dict[str, Any]]:
    path = f"/v1/breaks/{break_id}/acts"
    return await service.post(path, {"act": word, "note": "looked at it"} | body, headers={"Acting-For": by})


async def test_a_fee_that_differs_is_a_break_and_a_rounded_one_is_a_match_that_is_counted(
    service: Service, world: World
) -> None:
    await ingest(service.deps.engine, [a_sale(1), a_sale(2), a_sale(3)])
    world.heads["gateway"] = 3
    await run(service, world, a_line(1), a_line(2, fee_minor=44), a_line(3, fee_minor=50))

    found = await the_break(service)
    assert (found["break_class"], found["expected_fee_minor"], found["file_fee_minor"]) == (
        "fee_differs", 43, 50,
    )  # fmt: skip
    assert found["difference_minor"] == {"EUR": -7}
    [kept] = (await service.get("/v1/reconciliations?channel=card_sim&date=2026-11-23"))["data"]
    assert (kept["matched_count"], kept["tolerated_count"]) == (2, 1)


async def test_what_the_channel_settled_and_we_only_hold_is_told_apart(
    service: Service, world: World
) -> None:
    journal = a_journal(1, 1250)
    journal["transfers"][0]["kind"] = "pending"
    held = an_event(1, "payment.authorised.v1", journal=journal, attempt=an_attempt(1))
    await ingest(service.deps.engine, [held])
    world.heads["gateway"] = 1
    await run(service, world, a_line(1), a_line(2))

    found = (await service.get("/v1/breaks?open=true", headers=KNOWN))["data"]
    assert sorted((one["break_class"], one["ledger_status"]) for one in found) == [
        ("missing_in_ledger", None), ("status_differs", "held"),
    ]  # fmt: skip


async def test_a_correction_is_booked_once_under_the_persons_name_and_closes(
    service: Service, world: World
) -> None:
    await run(service, world, a_line(1))
    found = await the_break(service)

    status, closed = await act(service, found["id"], "correct", owner="grace")

    assert (status, closed["state"], closed["owner"]) == (200, "resolved", "grace")
    assert closed["closed_at"]
    assert world.corrections == {
        f"{found['id']}.1.eur": {
            "channel": "card_sim", "reference": f"{found['id']}.1.eur", "direction": "received",
            "amount_minor": 1250, "currency": "EUR", "note": "looked at it", "by": "ada", "write_off": False,
        }
    }  # fmt: skip
    assert [(one["act"], one["actor"]) for one in closed["acts"]] == [
        ("correct", "ada"), ("booked", "platform"),
    ]  # fmt: skip
    status, problem = await act(service, found["id"], "accept")
    assert (status, problem["type"]) == (409, "/problems/act-not-possible")


async def test_a_ledger_that_is_down_leaves_it_booking_and_the_same_act_ends_it(
    service: Service, world: World
) -> None:
    await run(service, world, a_line(1))
    found = await the_break(service)
    world.is_down.add("ledger")
    status, problem = await act(service, found["id"], "write_off")
    assert (status, problem["type"]) == (503, "/problems/ledger-not-reached")
    assert (await the_break(service))["state"] == "booking"
    assert (await act(service, found["id"], "accept"))[0] == 409

    world.is_down.clear()
    world.corrected = asyncio.Barrier(2)
    answers = await asyncio.gather(*(act(service, found["id"], "write_off") for _ in range(2)))
    assert [(status, shown["state"]) for status, shown in answers] == [(200, "resolved")] * 2
    assert (await act(service, found["id"], "write_off"))[0] == 409
    shown = await the_one(service, found["id"])
    assert [one["act"] for one in shown["acts"]].count("booked") == 1
    assert len(world.corrections) == 1


async def test_a_note_while_it_is_booking_books_nothing(service: Service, world: World) -> None:
    await run(service, world, a_line(1))
    found = await the_break(service)
    world.is_down.add("ledger")
    await act(service, found["id"], "correct", note="agreed")
    world.is_down.clear()
    for word in ("note", "assign"):
        status, shown = await act(service, found["id"], word, "olga", owner="olga")
        assert (status, shown["state"], world.corrections) == (200, "booking", {})

    assert (await act(service, found["id"], "correct", "grace", note="again"))[1]["state"] == "resolved"
    [entry] = world.corrections.values()
    assert (entry["by"], entry["note"]) == ("ada", "agreed")


async def test_a_proposal_whose_ledger_was_down_is_booked_by_approving_it_again(
    service: Service, world: World
) -> None:
    await run(service, world, a_line(1, amount_minor=200_000))
    found = await the_break(service)
    await act(service, found["id"], "correct")
    world.is_down.add("ledger")
    assert (await act(service, found["id"], "approve", "grace"))[0] == 503
    world.is_down.clear()
    status, shown = await act(service, found["id"], "approve", "grace")
    assert (status, shown["state"]) == (200, "resolved")
    assert [(one["amount_minor"], one["by"]) for one in world.corrections.values()] == [(200_000, "grace")]


async def test_what_is_booked_is_what_was_agreed_on_and_what_is_left_is_open(
    service: Service, world: World
) -> None:
    await run(service, world, a_line(1))
    found = await the_break(service)
    world.is_down.add("ledger")
    await act(service, found["id"], "correct")
    await run(service, world, a_line(1, amount_minor=900_000))  # nobody agreed on that
    world.is_down.clear()

    status, shown = await act(service, found["id"], "correct")
    assert (status, shown["state"], shown["closed_at"]) == (200, "open", None)
    assert [one["amount_minor"] for one in world.corrections.values()] == [1250]

    assert (await act(service, found["id"], "correct"))[1]["state"] == "proposed"
    assert (await act(service, found["id"], "approve", "grace"))[1]["state"] == "resolved"
    assert [(name, one["amount_minor"]) for name, one in world.corrections.items()] == [
        (f"{found['id']}.1.eur", 1250), (f"{found['id']}.2.eur", 898_750),
    ]  # fmt: skip

    # A smaller amount in a later file: what is too much goes back.
    await run(service, world, a_line(1, amount_minor=1250))
    again = await the_break(service)
    assert (again["state"], again["takes_four_eyes"]) == ("open", True)
    await act(service, found["id"], "correct")
    assert (await act(service, found["id"], "approve", "grace"))[1]["state"] == "resolved"
    last = world.corrections[f"{found['id']}.3.eur"]
    assert (last["direction"], last["amount_minor"]) == ("taken", 898_750)


async def test_what_the_ledger_refuses_is_open_again_and_says_why(service: Service, world: World) -> None:
    await run(service, world, a_line(1))
    found = await the_break(service)
    world.refusals["EUR"] = REFUSED
    status, problem = await act(service, found["id"], "correct")
    assert (status, problem["type"]) == (409, "/problems/correction-refused")
    shown = await the_one(service, found["id"])
    assert (shown["state"], shown["resolution"]) == ("open", None)
    assert shown["acts"][-1]["act"] == "refused"
    assert "The channel is closed." in shown["acts"][-1]["note"]

    world.refusals.clear()
    assert (await act(service, found["id"], "correct"))[1]["state"] == "resolved"
    assert list(world.corrections) == [f"{found['id']}.2.eur"]


async def test_of_two_currencies_the_refused_one_alone_is_booked_later(
    service: Service, world: World
) -> None:
    await ingest(service.deps.engine, [a_sale(1)])
    world.heads["gateway"] = 1
    await run(service, world, a_line(1, currency="USD"))
    found = await the_break(service)
    world.refusals["USD"] = REFUSED
    assert (await act(service, found["id"], "correct"))[0] == 409
    world.refusals.clear()
    assert (await act(service, found["id"], "correct"))[1]["state"] == "resolved"
    assert list(world.corrections) == [f"{found['id']}.1.eur", f"{found['id']}.2.usd"]


async def test_an_entry_that_went_to_somebody_else_is_not_booked_again(
    service: Service, world: World
) -> None:
    await run(service, world, a_line(1))
    found = await the_break(service)
    world.refusals["EUR"] = {"type": "/problems/suspense-not-platform", "detail": "It was resolved to costs."}
    assert (await act(service, found["id"], "write_off"))[0] == 409
    world.refusals.clear()
    assert (await act(service, found["id"], "write_off"))[0] == 409, "nothing is left to book"
    assert world.corrections == {}


async def test_what_is_booking_is_not_closed_by_a_run(service: Service, world: World) -> None:
    await run(service, world, a_line(1))
    found = await the_break(service)
    world.is_down.add("ledger")
    await act(service, found["id"], "correct")
    await run(service, world)
    assert (await the_break(service))["state"] == "booking"
    world.is_down.clear()
    assert (await act(service, found["id"], "correct"))[1]["state"] == "resolved"


async def test_a_large_one_takes_another_person(service: Service, world: World) -> None:
    await run(service, world, a_line(1, amount_minor=100_001))
    found = await the_break(service)
    assert found["takes_four_eyes"]
    assert (await act(service, found["id"], "accept"))[1]["state"] == "proposed"
    status, problem = await act(service, found["id"], "approve")
    assert (status, problem["type"]) == (403, "/problems/four-eyes")
    status, problem = await act(service, found["id"], "approve", by="Ada")
    assert (status, problem["type"]) == (403, "/problems/may-not-act")
    assert (await act(service, found["id"], "approve", by="grace"))[1]["state"] == "resolved"


async def test_who_acts_is_an_operator_who_may(service: Service, world: World) -> None:
    await run(service, world, a_line(1))
    found = await the_break(service)
    for by, word in (("nobody", "note"), ("Ada", "note"), ("olga", "accept"), ("vera", "reject")):
        status, problem = await act(service, found["id"], word, by)
        assert (status, problem["type"]) == (403, "/problems/may-not-act")
    assert (await act(service, found["id"], "note", "vera"))[0] == 200
    async with service.deps.engine.begin() as conn:
        await operators.change(conn, "ada", role=None, password_hash=None, is_disabled=True)
    assert (await act(service, found["id"], "accept", "ada"))[0] == 403
    assert [one["actor"] for one in (await the_one(service, found["id"]))["acts"]] == ["vera"]


async def test_what_a_person_closed_stays_closed_until_a_file_says_something_else(
    service: Service, world: World
) -> None:
    await run(service, world, a_line(1))
    found = await the_break(service)
    await act(service, found["id"], "accept")

    await run(service, world, a_line(1))
    assert (await the_break(service, "state=resolved"))["closed_at"]

    await run(service, world, a_line(1, amount_minor=1300))
    again = await the_break(service)
    assert (again["id"], again["state"], again["resolution"]) == (found["id"], "open", None)
    acts = (await service.get(f"/v1/breaks/{found['id']}", headers=KNOWN))["acts"]
    assert [one["act"] for one in acts] == ["accept", "reopened"]


async def test_a_claim_stays_open_and_closes_when_the_counterpart_arrives(
    service: Service, world: World
) -> None:
    await ingest(service.deps.engine, [a_sale(1, at=NOON - timedelta(hours=1))])
    world.heads["gateway"] = 1
    await run(service, world)
    found = await the_break(service)
    assert (await act(service, found["id"], "claim"))[1]["closed_at"] is None
    await run(service, world, a_line(1))
    assert (await the_break(service, "open=false"))["state"] == "claimed"


async def test_the_evidence_is_a_file_with_its_own_hash(service: Service, world: World) -> None:
    await run(service, world, a_line(1))
    found = await the_break(service)
    await act(service, found["id"], "note")
    async with service.session.get(
        f"{service.url}/v1/breaks/{found['id']}/evidence", headers=KNOWN
    ) as answer:
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{found["id"]}.json"'
        bundle = orjson.loads(await answer.read())
    raw = world.files["card_sim", TODAY]
    assert bundle["channel_file"]["sha256"] == hashlib.sha256(raw).hexdigest()
    assert bundle["channel_file"]["text"] == raw.decode().split("\n")[bundle["channel_file"]["line"] - 1]
    assert [one["act"] for one in bundle["acts"]] == ["note"]
    stated = bundle.pop("sha256")
    assert hashlib.sha256(orjson.dumps(bundle, option=orjson.OPT_SORT_KEYS)).hexdigest() == stated


async def test_the_history_only_grows(service: Service, world: World) -> None:
    await run(service, world, a_line(1))
    await act(service, (await the_break(service))["id"], "note")
    for sql in ("UPDATE pipeline.break_act SET actor = 'eve'", "DELETE FROM pipeline.break_act"):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with service.deps.engine.begin() as conn:
                await conn.execute(text(sql))
    assert len(await rows(service.deps.engine, "break_act")) == 1


async def test_who_has_no_token_or_no_name_does_nothing(service: Service, world: World) -> None:
    await run(service, world, a_line(1))
    found = await the_break(service)
    path = f"/v1/breaks/{found['id']}/acts"
    body = {"act": "accept", "note": "x"}
    assert (await service.post(path, body, token="wrong", headers={"Acting-For": "ada"}))[0] == 401
    assert (await service.post(path, body))[0] == 422
    assert (await service.post(path, body, headers={"Acting-For": "no one"}))[0] == 422
    assert (await service.post(path, body | {"act": "booked"}, headers={"Acting-For": "ada"}))[0] == 422
    await service.get(f"/v1/breaks/brk_{'a' * 26}", status=404, headers=KNOWN)
