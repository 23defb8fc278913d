"""The search of the top bar: whom somebody means by an e-mail or four digits, with neither kept here."""

from __future__ import annotations

import re

from pipeline_rig import World, a_merchant, a_payment, a_sale, ingest
from running_service import Service

EMAIL = "ada@example.org"
ONE, TWO = a_payment(1)["id"], a_payment(2)["id"]


def ids_on(html: str) -> list[str]:
    return re.findall(r'class="id" href="/console/payments/(pay_\w+)"', html)


async def searched(service: Service, query: str) -> tuple[int, str, str]:
    return await service.send("/console/search", {"q": query})


async def test_an_e_mail_is_asked_of_both_services_in_the_operators_name(
    service: Service, world: World
) -> None:
    await ingest(service.deps.engine, [a_sale(1), a_sale(2)])
    world.known_by = {f"gateway:{EMAIL}": [ONE], f"risk:{EMAIL}": [ONE, TWO]}
    status, _, html = await searched(service, EMAIL)
    assert (status, ids_on(html)) == (200, [TWO, ONE])
    assert {(asked, by) for asked, by, _ in world.searches} == {("gateway", "admin-1"), ("risk", "admin-1")}
    assert all(body == {"email": EMAIL} for _, _, body in world.searches)
    assert EMAIL not in html, "not even on the page"


async def test_an_e_mail_in_an_address_is_not_looked_for(service: Service, world: World) -> None:
    html = await service.page(f"/console/search?q={EMAIL}", status=422)
    assert "no part of an address" in html
    assert world.searches == []


async def test_what_a_service_that_is_away_would_know_is_said_to_be_missing(
    service: Service, world: World
) -> None:
    await ingest(service.deps.engine, [a_sale(1)])
    world.known_by = {f"gateway:{EMAIL}": [ONE, TWO]}
    world.is_down = {"risk"}
    _, _, html = await searched(service, EMAIL)
    assert ids_on(html) == [ONE]
    assert "cannot be looked for" in html
    assert "1 payment more has not arrived here yet" in html
    world.is_down = {"risk", "gateway"}
    status, _, html = await searched(service, EMAIL)
    assert (status, html.count("cannot be looked for")) == (200, 2)


async def test_nobody_found_says_who_can_be_found(service: Service) -> None:
    status, _, html = await searched(service, EMAIL)
    assert status == 404
    assert "named by their e-mail alone" in html or "names by an id of its own" in html


async def test_four_digits_are_those_of_a_card_and_lead_further_back(service: Service, world: World) -> None:
    await ingest(service.deps.engine, [a_sale(1), a_sale(2)])
    world.known_by, world.goes_on = {"gateway:4242": [TWO]}, ONE
    status, _, html = await searched(service, "4242")
    assert (status, ids_on(html)) == (200, [TWO])
    older = re.search(r'href="([^"]*)" rel="next"', html)
    assert older
    await service.page(older[1].replace("&amp;", "&"))
    assert world.searches[-1] == ("gateway", "admin-1", {"last_four": "4242", "before": ONE})
    assert "/console/payments?min=4242" in html, "an amount is one click away"


async def test_a_reference_of_four_digits_is_the_payment(service: Service, world: World) -> None:
    await ingest(service.deps.engine, [a_sale(1, reference="4242")])
    status, location, _ = await searched(service, "4242")
    assert (status, location) == (303, f"/console/payments/{ONE}")
    assert world.searches == []


async def test_a_merchant_is_found_by_id_and_by_a_part_of_the_name(service: Service) -> None:
    other = "mer_00000000000000000000000002"
    told = [a_merchant(1, "Corner Shop"), a_merchant(2, "Corner Bakery", id=other)]
    await ingest(service.deps.engine, told)
    assert (await searched(service, other))[:2] == (303, f"/console/merchants/{other}")
    assert (await searched(service, "bakery"))[:2] == (303, f"/console/merchants/{other}")
    assert (await searched(service, "corner"))[:2] == (303, "/console/merchants?q=corner")


async def test_a_search_from_elsewhere_is_refused(service: Service, world: World) -> None:
    status, _, _ = await service.send("/console/search", {"q": EMAIL}, token="another")
    assert status == 403
    assert world.searches == []
