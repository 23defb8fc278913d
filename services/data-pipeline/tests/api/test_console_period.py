"""The range of time in the top bar: in the address alone, and taken along under the names that each page has for it."""

from __future__ import annotations

import re

from pipeline_rig import NOON, a_payment, a_sale, ingest
from running_service import Service

from data_pipeline.api.console.period import period_of
from data_pipeline.api.console.rail import RAIL, entry_at
from platform_kit.clock import isoformat

HALF = "from=2026-11-23T11%3A30&to=2026-11-23T11%3A45"


async def test_the_rail_takes_the_range_along_by_the_names_of_each_page(service: Service) -> None:
    html = (await service.page(f"/console/payments?status=captured&{HALF}")).replace("&amp;", "&")
    assert f'href="/console/reports?{HALF}"' in html
    assert f'href="/console/system?{HALF}"' in html
    assert 'href="/console/ledger?from=2026-11-23T11%3A30&as_of=2026-11-23T11%3A45"' in html
    decisions = "made_from=2026-11-23T11%3A30&made_before=2026-11-23T11%3A45"
    assert f'href="/console/risk/decisions?{decisions}"' in html
    back = (await service.page(f"/console/risk/decisions?{decisions}")).replace("&amp;", "&")
    assert f'href="/console/payments?{HALF}"' in back


async def test_a_page_without_a_time_of_its_own_carries_it_through_its_forms_too(service: Service) -> None:
    html = await service.page(f"/console/settlements?{HALF}")
    assert "This page has a time of its own" in html
    filters = re.search(r'<form class="filters".*?</form>', html, re.DOTALL)
    assert filters
    assert 'name="from" value="2026-11-23T11:30"' in filters[0]
    own = re.search(
        r'<form class="filters".*?</form>', await service.page(f"/console/payments?{HALF}"), re.DOTALL
    )
    assert own
    assert own[0].count('name="from"') == 1


async def test_another_range_keeps_the_filter_and_begins_at_the_first_page(service: Service) -> None:
    await ingest(service.deps.engine, [a_sale(1)])
    before = f"20261123T120000.000000~{a_payment(1)['id']}"
    html = (await service.page(f"/console/payments?status=captured&before={before}")).replace("&amp;", "&")
    (hour,) = re.findall(r'href="([^"]*)"[^>]*>Last hour<', html)
    assert hour.startswith("/console/payments?status=captured&from=")
    assert "before=" not in hour


def test_the_range_is_said_in_words_and_what_is_no_time_as_it_was_typed() -> None:
    def words(since: str, until: str) -> str:
        asked = {"from": since, "to": until}
        return period_of(entry_at("/console/payments"), "/console/payments", asked, [], NOON).words

    assert words("", "") == "Any time"
    assert words("2026-11-23T11:30", "") == "Since 23 Nov 11:30"
    assert words("", "2026-11-24") == "Until 24 Nov 00:00"
    assert words("2026-11-23T11:30", "tomorrow") == "23 Nov 11:30 to tomorrow"
    assert isoformat(NOON).startswith("2026-11-23T12:00")


def test_every_line_of_the_rail_reads_the_range_that_it_was_given() -> None:
    for entry in RAIL:
        asked = dict(zip(entry.period, ("2026-11-22", "2026-11-23"), strict=True))
        period = period_of(entry, entry.path, asked, list(asked.items()), NOON)
        assert (period.since, period.until, period.others) == ("2026-11-22", "2026-11-23", [])
