"""A log line is one line, is JSON, and holds no card number and no secret."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from platform_kit import canonical
from platform_kit.logging import (
    MASK,
    configure_logging,
    get_logger,
    is_card_number,
    is_secret_name,
    redact,
    redact_text,
)
from platform_kit.settings import ServiceSettings

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capfd: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """The JSON lines written since the last call."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    configure_logging(ServiceSettings(log_level="INFO", app_version="1.2.3"), "test-service")
    yield lambda: [orjson.loads(row) for row in capfd.readouterr().out.splitlines()]
    root.handlers = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def test_a_line_names_service_version_level_time_and_fields(lines: Lines) -> None:
    get_logger("some.module").info("relay started", stream="events", count=3)
    (line,) = lines()
    assert line.pop("at").endswith("Z")
    assert line == {
        "level": "info",
        "event": "relay started",
        "service": "test-service",
        "version": "1.2.3",
        "module": "some.module",
        "stream": "events",
        "count": 3,
    }


def test_lines_below_the_level_are_not_written(lines: Lines) -> None:
    get_logger().debug("noise")
    logging.getLogger("anything").debug("noise")
    assert lines() == []


def test_libraries_that_use_standard_logging_come_out_the_same_way(lines: Lines) -> None:
    logging.getLogger("some.library").warning("password=%s card %s", "x", "4111 1111 1111 1111")
    (line,) = lines()
    assert (line["level"], line["module"]) == ("warning", "some.library")
    assert "4111" not in line["event"]


def test_an_exception_is_told_with_its_frames_and_masked(lines: Lines) -> None:
    try:
        raise ValueError("card 4111111111111111 refused")
    except ValueError:
        get_logger().exception("failed")
        logging.getLogger("x").exception("failed")
    for line in lines():
        assert line["level"] == "error"
        assert "ValueError" in line["exception"]
        assert "4111111111111111" not in line["exception"]


def test_uvicorns_access_log_is_off(lines: Lines) -> None:
    logging.getLogger("uvicorn.access").info("GET / 200")
    assert lines() == []


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_nothing_in_a_value_begins_a_new_line_or_an_escape_sequence(
    log_format: Any, capfd: pytest.CaptureFixture[str], lines: Lines
) -> None:
    configure_logging(ServiceSettings(log_format=log_format), "test-service")
    nasty = 'a\nb\r\x1b[31mred\x00\u2028\x85 {"level":"info"}'
    get_logger().info(nasty, field=nasty)
    logging.getLogger("x").info(nasty)
    out = capfd.readouterr().out
    assert len(out.splitlines()) == 2
    assert "\x1b" not in out


def test_a_line_that_json_can_not_hold_is_written_all_the_same(lines: Lines) -> None:
    get_logger().info("odd", text="\ud800", big=2**70, thing=object(), keys={1: 2}, raw=b"\xff")
    (line,) = lines()
    assert line["event"] == "odd"


def test_lines_of_one_request_carry_its_ids(lines: Lines) -> None:
    with canonical.line("task", task="t", task_id="id1", trace_id="0" * 31 + "1"):
        get_logger().info("in between")
    first, last = lines()
    assert (first["task_id"], first["trace_id"]) == ("id1", last["trace_id"])


AROUND = ["{}", "card={}&x", "tok_{}", "a{}b", '{{"n":"{}"}}', "{}/12/29", "{} 1226"]
CARDS = ["4111111111111111", "378282246310005", "4222222222222", "6304000000000000000", "5555 5555 5555 4444"]


@pytest.mark.parametrize("card", [*CARDS, "4111-1111-1111-1111", "4111 1111 1111 1111"])
@pytest.mark.parametrize("around", AROUND)
def test_a_card_number_is_masked_wherever_it_stands(card: str, around: str) -> None:
    text = redact_text(around.format(card))
    assert MASK in text
    assert card not in text


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # wrong check digit
        "2026-11-23T04:05:06.789012Z",
        "pay_01kaxyz0123456789abcdefghj",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "123456789012",
    ],
)
def test_what_is_no_card_number_stays_readable(text: str) -> None:
    assert redact_text(text) == text


@given(st.text(alphabet="0123456789", min_size=12, max_size=18))
def test_every_number_with_a_right_check_digit_is_masked(digits: str) -> None:
    card = next(digits + str(last) for last in range(10) if is_card_number(digits + str(last)))
    assert redact_text(f"x {card} y") == f"x {MASK} y"
    assert redact(int(card)) == MASK or card.startswith("0")


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "Authorization",
        "api_key",
        "ADMIN_API_KEY",
        "secret",
        "channel_secret",
        "password",
        "database_password",
        "card_number",
        "pan",
        "cvc",
        "internal_token",
        "cookie",
        "private_key",
    ],
)
def test_a_secret_is_masked_by_its_name_at_any_depth(name: str, lines: Lines) -> None:
    get_logger().info("x", **{name: "hunter2-value"}, outer={"inner": [{name: "hunter2-value"}]})
    (line,) = lines()
    assert "hunter2" not in str(line)


@pytest.mark.parametrize("name", ["company", "panel", "token_hint", "amount_minor", "event_id", "type"])
def test_ordinary_names_are_not_secret(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Authorization: Bearer abcdef123456", "Bearer "),
        ("postgresql://app:hunter2secret@db:5432/platform", "postgresql://app:"),
        ("key sk_test_hunter2abcdef used", "key sk_"),
        ("secret whsec_hunter2abcdef== used", "secret whsec_"),
    ],
)
def test_a_credential_is_masked_by_its_form(text: str, kept: str) -> None:
    masked = redact_text(text)
    assert kept + MASK in masked
    assert "hunter2" not in masked
    assert "abcdef123456" not in masked


def test_amounts_positions_and_ids_of_ours_are_not_taken_for_cards(lines: Lines) -> None:
    card_like = 4111111111111111
    get_logger().info("x", amount_minor=card_like, position=card_like, duration_ns=card_like, other=card_like)
    (line,) = lines()
    assert (line["amount_minor"], line["position"], line["duration_ns"]) == (card_like,) * 3
    assert line["other"] == MASK


def test_what_is_deep_or_long_is_cut() -> None:
    nested: Any = "x"
    for _ in range(20):
        nested = {"a": nested}
    assert "[deeper]" in str(redact(nested))
    assert len(redact_text("y" * 100_000)) < 10_000
    assert len(redact(list(range(10_000)))) == 100
