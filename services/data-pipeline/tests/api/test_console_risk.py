"""The pages of risk, with an engine that has something to tell."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import risk_desk
from jsonschema import Draft202012Validator
from pipeline_rig import NOON, World
from running_service import Service

from data_pipeline.api.console.score_plots import HEIGHT_PX, money_plot, rule_bars, share_plot

CONTRACT = Path(__file__).parents[3] / "risk-engine" / "contracts" / "openapi.json"
SHAPES = {
    "rule-sets": "RuleSetList",
    f"rule-sets/{risk_desk.LIVE}": "RuleSet",
    f"rule-sets/{risk_desk.CANDIDATE}": "RuleSet",
    "deployment/history": "PublicationList",
    "backtests": "BacktestList",
    "assessments": "AssessmentPage",
    f"assessments/asm_{0:026d}": "AssessmentRecord",
    "cases": "CasePage",
    f"cases/{risk_desk.CASE}": "CaseRecord",
    "alerts": "AlertPage",
}
RULE_SET = f"/console/risk/rules/{risk_desk.CANDIDATE}"


@pytest.fixture(autouse=True)
def engine_at_work(world: World) -> None:
    world.risk_answers = risk_desk.answers(NOON)


@pytest.mark.parametrize(("path", "shape"), SHAPES.items())
def test_the_engine_of_these_tests_answers_as_its_contract_says(path: str, shape: str) -> None:
    contract = json.loads(CONTRACT.read_text())
    schema = {"$ref": f"#/components/schemas/{shape}", "components": contract["components"]}
    found = list(Draft202012Validator(schema).iter_errors(risk_desk.answers(NOON)[path]))
    assert [f"{error.json_path}: {error.message}" for error in found] == []


@pytest.mark.parametrize(
    ("path", "shape"), [("cases", "CasePage"), (f"cases/{risk_desk.CASE}", "CaseRecord")]
)
def test_an_appeal_of_these_tests_is_one_of_the_contract(path: str, shape: str) -> None:
    contract = json.loads(CONTRACT.read_text())
    schema = {"$ref": f"#/components/schemas/{shape}", "components": contract["components"]}
    found = list(Draft202012Validator(schema).iter_errors(risk_desk.appealed(NOON)[path]))
    assert [f"{error.json_path}: {error.message}" for error in found] == []


async def test_an_appeal_says_who_asks_what_and_that_no_money_moves(service: Service, world: World) -> None:
    page = f"/console/risk/queue/{risk_desk.CASE}"
    assert "the gateway captures" in await service.page(page)
    world.risk_answers = risk_desk.appealed(NOON)
    html = await service.page(page)
    assert "What the cardholder says" in html
    assert "A customer of ten years, abroad for a week." in html
    assert "No money moves" in html
    assert "the gateway captures" not in html


async def test_a_backtest_is_drawn_with_what_each_rule_hit(service: Service) -> None:
    html = await service.page(RULE_SET)
    assert html.count('<polyline class="line ') == 4
    for kind in ("precision", "recall", "good_stopped", "saved"):
        assert f'<polyline class="line {kind}"' in html
    assert "29 fraud, 6 legitimate, 6 not known yet" in html
    assert '<td class="amount">60</td>' in html  # each point of the plots stands in a table, too
    assert re.search(
        r'role="img" aria-label="By the score from which payments are stopped, from 5: precision', html
    )


async def test_a_backtest_of_an_older_engine_has_no_plots(service: Service, world: World) -> None:
    for missing in ({}, {"curve": None}, {"curve": risk_desk.curve() | {"points": []}}):
        told = deepcopy(risk_desk.answers(NOON))
        report = told["backtests"]["data"][0]["report"]
        del report["curve"]
        report |= missing
        world.risk_answers = told
        html = await service.page(RULE_SET)
        assert "polyline" not in html
        assert "Fraud stopped more" in html


async def test_a_backtest_that_runs_has_neither(service: Service, world: World) -> None:
    told = deepcopy(risk_desk.answers(NOON))
    told["backtests"]["data"][0] |= {"status": "running", "report": None, "finished_at": None}
    world.risk_answers = told
    html = await service.page(RULE_SET)
    assert "<progress" in html
    assert "polyline" not in html


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/console/risk/decisions", "The card was issued in another country"),
        (f"/console/risk/decisions/asm_{0:026d}", "Payments of the card within an hour"),
        ("/console/risk/rules", "standard, with velocity"),
        ("/console/risk/queue", "due in 25 min"),
        (f"/console/risk/queue/{risk_desk.CASE}", "Asked the merchant for the delivery address."),
        (f"/console/risk/rules/edit?from={risk_desk.CANDIDATE}", "velocity-card"),
    ],
)
async def test_a_page_tells_what_the_engine_does(service: Service, path: str, words: str) -> None:
    assert words in await service.page(path)


async def test_away_means_a_sentence_and_no_empty_panel(service: Service, world: World) -> None:
    world.is_down.add("risk")
    html = await service.page("/console/risk/decisions")
    assert "The risk engine does not answer" in html
    assert '<section class="panel"' not in html


def point(score: int, precision: float | None, saved: int) -> dict[str, Any]:
    share = {"share": precision, "low_95": 0.0, "high_95": 1.0}
    return {"score_from": score, "money_saved_minor": saved} | dict.fromkeys(
        ("precision", "recall", "good_stopped"), share
    )


def test_where_nothing_is_known_a_line_has_a_gap() -> None:
    drawn = share_plot(
        {"points": [point(0, 0.5, 0), point(10, None, 0), point(20, 1.0, 0), point(30, 0.0, 0)]}
    )
    [first, second] = drawn.lines[0].runs
    assert first == f"0,{HEIGHT_PX / 2} 0,{HEIGHT_PX / 2}"  # a dot
    assert second == f"20,0.0 30,{HEIGHT_PX}.0"
    assert "precision not known" in drawn.spots[1].title


def test_money_lost_lies_below_the_line_of_zero() -> None:
    drawn = money_plot(
        {"points": [point(0, 1.0, -30_000), point(50, 1.0, 60_000), point(100, 1.0, 0)]}, "EUR"
    )
    lost, saved, nothing = (float(at.split(",")[1]) for at in drawn.lines[0].runs[0].split(" "))
    assert saved < drawn.zero == nothing < lost <= HEIGHT_PX
    assert [tick.label for tick in drawn.y_ticks] == ["-300", "0", "600"]
    only_saved = money_plot({"points": [point(0, 1.0, 10)]}, "EUR")
    assert only_saved.zero == HEIGHT_PX


def test_bars_of_rules_add_up_to_their_hits() -> None:
    rules = {"a": {"hits": 10, "fraud": 3, "legitimate": 5}, "b": {"hits": 40, "fraud": 0, "legitimate": 0},
             "c": {"hits": 0, "fraud": 0, "legitimate": 0}}  # fmt: skip
    assert [(bar.rule, bar.fraud, bar.legitimate, bar.unknown) for bar in rule_bars(rules)] == [
        ("b", 0, 0, 100),
        ("a", 7.5, 12.5, 5),
    ]
    assert rule_bars({}) == []
