"""How far apart countries are at least, and how fast somebody would have been."""

import re

import pytest
from risk_rig import packaged_document

from risk_engine.domain.places import COUNTRIES, Circle, distance_km, great_circle_km, speed_kmh
from risk_engine.domain.rule_documents import parse_rule_set

PARIS, LONDON, SYDNEY = Circle(48.857, 2.352, 0), Circle(51.507, -0.128, 0), Circle(-33.869, 151.209, 0)


def test_a_great_circle_is_measured_over_the_ground() -> None:
    assert great_circle_km(PARIS, LONDON) == pytest.approx(344, abs=2)
    assert great_circle_km(LONDON, SYDNEY) == pytest.approx(
        16_994, rel=0.005
    )  # over the date line's side, too
    assert great_circle_km(SYDNEY, LONDON) == great_circle_km(LONDON, SYDNEY)
    assert great_circle_km(PARIS, PARIS) == 0.0


@pytest.mark.parametrize(
    "pair", ["DE FR", "US CA", "US MX", "ES PT", "RU CN", "AT IT", "IN PK", "BR AR", "NO SE", "CH LI"]
)
def test_most_neighbours_are_near(pair: str) -> None:
    one, other = pair.split()
    assert distance_km(one, other) < 500


@pytest.mark.parametrize("pair", ["SG MY", "EE RU", "LV RU", "NO RU", "PL RU", "ID PG"])
def test_who_crosses_a_border_has_not_flown(pair: str) -> None:
    """By the packaged rule, also where the circles lie far apart; who crosses an ocean within a minute has."""
    rules = {rule.id: rule.when for rule in parse_rule_set(packaged_document()).rules}
    leasts = [int(km) for km in re.findall(r"travel_km >= (\d+)", rules["impossible_travel"])]
    assert leasts == [2500, 2500]
    one, other = pair.split()
    assert 500 < distance_km(one, other) < min(leasts) < distance_km("GB", "US")


def test_distances_are_what_lies_between_two_countries() -> None:
    assert 9_000 < distance_km("DE", "SG") < 10_500
    assert 4_500 < distance_km("GB", "US") < 6_000
    assert distance_km("DE", "SG") == distance_km("SG", "DE")


def test_of_an_unknown_place_nothing_is_said() -> None:
    assert distance_km("DE", "") == distance_km("", "DE") == distance_km("DE", "ZZ") == 0
    assert distance_km("DE", "DE") == 0


def test_every_country_lies_on_the_globe_and_is_none_of_the_others() -> None:
    assert len(COUNTRIES) == 250  # ISO 3166 and Kosovo
    assert all(len(code) == 2 and code.isupper() for code in COUNTRIES)
    assert all(-90 <= one.latitude <= 90 and -180 <= one.longitude <= 180 for one in COUNTRIES.values())
    assert max(COUNTRIES, key=lambda code: COUNTRIES[code].radius_km) == "RU"


def test_speed_is_distance_by_time_and_one_minute_is_the_least() -> None:
    assert speed_kmh(900, 3_600_000) == 900
    assert speed_kmh(9_000, 0) == speed_kmh(9_000, 60_000) == 540_000
