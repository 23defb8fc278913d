"""The page shows the table of kinds as the code has it, and a person is told what to do about each."""

from pathlib import Path

import pytest
from risk_rig import NOON

from risk_engine.domain.alert_kinds import KINDS
from risk_engine.domain.alert_message import body_of, message_of, title_of
from risk_engine.domain.alerts import Act

PAGE = Path(__file__).resolve().parents[4] / "docs" / "risk-alerts.md"


def test_the_page_has_every_kind_as_it_is_and_no_other() -> None:
    page = PAGE.read_text(encoding="utf-8")
    table = page[page.index("## All kinds") : page.index("## How the numbers")]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{name}` | {kind.severity} | {kind.condition} | {kind.advice} |" for name, kind in KINDS.items()
    ]


@pytest.mark.parametrize(
    ("act", "line"),
    [
        (Act.RAISED, "What to do: Block the device"),
        (Act.ESCALATED, "platform risk alerts ack alr_1"),
        (Act.RESOLVED, "Resolved by ada: a sale"),
    ],
)
def test_people_read_what_is_seen_and_what_to_do(act: Act, line: str) -> None:
    alert = {
        "id": "alr_1",
        "kind": "card_testing",
        "scope": "mer_1",
        "severity": "critical",
        "summary": "30 cards were tried.",
        "occurrences": 3,
        "level": 1,
        "raised_at": "2026-11-23T12:00:00.000000Z",
    }
    message = message_of(alert, act, "ada", "a sale", NOON)
    assert title_of(message) == f"[CRITICAL] card_testing mer_1 {act}"
    assert body_of(message).splitlines()[:2] == [
        "30 cards were tried.",
        "Seen 3 times since 2026-11-23T12:00:00Z, level 1.",
    ]
    assert line in body_of(message)
