"""The quarantine in the console: by reason, with a sample, replayed in steps and discarded with a reason."""

from __future__ import annotations

import re

import pytest
from pipeline_rig import NOON, an_event, ingest, rows, scalar
from running_service import Service, logged_in
from sqlalchemy import text

from data_pipeline.api.console import quarantine as pages
from data_pipeline.clients.event_sources import PAYMENTS
from data_pipeline.domain.operators import Role
from data_pipeline.operations.ingest_events import ingest_events

PATH = "/console/quarantine"
HIDDEN = r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"'


@pytest.fixture
async def set_aside(service: Service) -> list[int]:
    """Five events that gave no facts; three of them would now."""
    for position in range(1, 6):
        await ingest(service.deps.engine, [an_event(position, f"payment.teleported.v{position % 2}")])
    async with service.deps.engine.begin() as conn:
        await conn.execute(
            text(
                "UPDATE pipeline.quarantine SET payload = replace(payload, 'payment.teleported.v1',"
                " 'payment.captured.v1') WHERE type = 'payment.teleported.v1'"
            )
        )
    return [row["id"] for row in await rows(service.deps.engine, "quarantine", order="id")]


def form_of(html: str, action: str) -> dict[str, str]:
    """The hidden fields of the form that goes there."""
    found = re.search(rf'<form method="post" action="{action}".*?</form>', html, re.DOTALL)
    assert found is not None, html
    return {name: value for name, value in re.findall(HIDDEN, found[0]) if name != "form_token"}


async def states(service: Service) -> list[str]:
    return [row["state"] for row in await rows(service.deps.engine, "quarantine", order="id")]


async def test_what_waits_is_told_by_reason_with_a_sample(service: Service, set_aside: list[int]) -> None:
    html = await service.page(PATH)
    assert html.count("a sample") == 2
    assert 'title="5 waiting for somebody"' in html
    assert "payment.teleported.v0" in html
    sample = await service.page(f"{PATH}/{set_aside[1]}")
    assert "&#34;payment.teleported.v0&#34;" in sample  # as received, indented
    assert "payment-gateway" in sample
    await service.page(f"{PATH}/999999", status=404)
    assert "No event fits this filter" in await service.page(f"{PATH}?type=nothing")
    for wrong in ("first=x", "stream=events:odd", "state=lost", "first=0"):
        await service.page(f"{PATH}?{wrong}", status=422)


async def test_one_is_replayed_and_another_discarded_with_a_reason(
    service: Service, set_aside: list[int]
) -> None:
    assert (await service.send(f"{PATH}/{set_aside[0]}/replay", {}))[1].endswith("told=applied")
    assert (await service.send(f"{PATH}/{set_aside[1]}/replay", {}))[1].endswith("told=refused")
    assert (await service.send(f"{PATH}/{set_aside[1]}/discard", {"reason": ""}))[0] == 422
    assert (await service.send(f"{PATH}/{set_aside[1]}/discard", {"reason": "of the future"}))[1].endswith(
        "told=discarded"
    )
    assert await states(service) == ["replayed", "discarded", "open", "open", "open"]
    page = await service.page(f"{PATH}/{set_aside[1]}?told=discarded")
    assert "of the future" in page
    assert "admin-1" in page


async def test_all_are_replayed_in_steps_and_each_is_tried_once(
    service: Service, set_aside: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "STEP", 2)
    fields = form_of(await service.page(PATH), f"{PATH}/replay")
    await ingest(service.deps.engine, [an_event(6, "payment.teleported.v0")])  # after the page was opened
    told = []
    for _ in range(9):
        status, _, html = await service.send(f"{PATH}/replay", fields | {"reason": "release 1.4"})
        assert status == 200
        told.append(re.findall(r"(\d+) of (\d+)</span>", html)[0])
        if "Go on with" not in html:
            break
        fields = form_of(html, f"{PATH}/replay")
    assert told == [("2", "5"), ("4", "5"), ("5", "5")]
    assert "2 events are still open" in html
    assert await states(service) == ["replayed", "open", "replayed", "open", "replayed", "open"]
    tries = [row["attempt_count"] for row in await rows(service.deps.engine, "quarantine", order="id")]
    assert tries == [2, 2, 2, 2, 2, 1]
    assert await scalar(service.deps.engine, "SELECT count(*) FROM pipeline.fact_payment") == 3


async def test_what_fits_the_filter_is_discarded_and_nothing_that_came_later(
    service: Service, set_aside: list[int]
) -> None:
    html = await service.page(f"{PATH}?first=2&last=9")
    fields = form_of(html, f"{PATH}/discard")
    await ingest(service.deps.engine, [an_event(6, "payment.teleported.v0")])
    assert (await service.send(f"{PATH}/discard", fields))[0] == 422
    assert (await service.send(f"{PATH}/discard", fields | {"reason": "a drill"}))[
        1
    ] == f"{PATH}?told=discarded-4"
    assert await states(service) == ["open", *["discarded"] * 4, "open"]
    without_moment = {name: value for name, value in fields.items() if name != "until"}
    assert (await service.send(f"{PATH}/discard", without_moment | {"reason": "all of it"}))[0] == 422


async def test_what_is_set_aside_before_the_page_and_is_there_after_it_is_not_discarded_unseen(
    service: Service, set_aside: list[int]
) -> None:
    """`last_seen_at` is when the consumer's transaction began; its COMMIT may come after the page."""
    engine = service.deps.engine
    async with engine.begin() as conn:
        await conn.execute(text("SELECT 1"))  # begun
        await ingest_events(conn, PAYMENTS, [an_event(6, "payment.teleported.v0")], NOON)
        fields = form_of(await service.page(PATH), f"{PATH}/discard") | {"reason": "a drill"}
        await replay_one(service, set_aside[0])  # so that the number is the same again
    status, _, html = await service.send(f"{PATH}/discard", fields)
    assert (status, "Look again" in html) == (409, True)
    assert "discarded" not in await states(service)
    fields = form_of(await service.page(PATH), f"{PATH}/discard") | {"reason": "a drill"}
    assert (await service.send(f"{PATH}/discard", fields))[1].endswith("told=discarded-5")


async def replay_one(service: Service, row_id: int) -> None:
    assert (await service.send(f"{PATH}/{row_id}/replay", {}))[1].endswith("told=applied")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.FINANCE])
async def test_who_may_not_replay_is_offered_nothing_and_refused(
    service: Service, set_aside: list[int], role: Role
) -> None:
    session_id = await logged_in(service.deps, role, "theirs")
    async with service.session.get(service.url + PATH, headers={"Cookie": f"console={session_id}"}) as answer:
        html = await answer.text()
    assert 'action="/console/quarantine/replay"' not in html
    fields = form_of(await service.page(PATH), f"{PATH}/replay") | {"reason": "because"}
    one = f"{PATH}/{set_aside[0]}"
    for path in (f"{PATH}/replay", f"{PATH}/discard", f"{one}/replay", f"{one}/discard"):
        assert (await service.send(path, fields, session_id=session_id))[0] == 403, path
    assert set(await states(service)) == {"open"}


async def test_more_than_ten_thousand_are_no_choice_to_discard(service: Service) -> None:
    """The page says which events it is about, one by one: with a million of them it would never come."""
    async with service.deps.engine.begin() as conn:
        await conn.execute(
            text(
                "INSERT INTO pipeline.quarantine (stream, position, type, payload, fault, detail) SELECT"
                " :stream, n, 'payment.teleported.v1', '{}', 'unknown_type', 'not known'"
                " FROM generate_series(1, 10001) AS n"
            ),
            {"stream": PAYMENTS},
        )
    html = await service.page(PATH)
    assert "Replay more than 10,000 events" in html
    assert "of the oldest ten thousand events" in html
    assert f'action="{PATH}/discard"' not in html
    narrowed = await service.page(f"{PATH}?last=10000")
    assert "Discard 10,000 events" in narrowed
    status, location, _ = await service.send(
        f"{PATH}/discard", form_of(narrowed, f"{PATH}/discard") | {"reason": "a drill"}
    )
    assert (status, location) == (303, f"{PATH}?told=discarded-10000")
    assert (
        await scalar(service.deps.engine, "SELECT count(*) FROM pipeline.quarantine WHERE state = 'open'")
        == 1
    )
