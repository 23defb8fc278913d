"""docs/walkthrough-data.md was recorded; what it shows follows from what it shows before, by the code of today."""

from __future__ import annotations

import re
from decimal import Decimal

import click
import typer.main

from data_pipeline.domain.settlement_batch import ACCOUNTS, BALANCE, Movement, Section, rule_on, settle
from platform_cli.app import main as platform
from platform_cli.daily.amounts import minor_units
from platform_cli.stack.state import clone

PAGE = (clone() / "docs" / "walkthrough-data.md").read_text(encoding="utf-8")
MERCHANT = "mer_1"
POSTING = re.compile(r"^      (\w+) > (\w+)  (\d+)$", re.MULTILINE)
RECORD = re.compile(r"^(\w+),([a-z_]*),([a-z_]*),(\w*),([\w-]*),(\d*),(-?[\d.]*),EUR$", re.MULTILINE)
SHOWN = re.compile(r"^ +([a-z_ ]+?) +(-?[\d,]+\.\d\d) EUR(?: +(-?[\d,]+\.\d\d) EUR)?$", re.MULTILINE)


def minor(text: str) -> int:
    plain = text.replace(",", "")
    return int(Decimal(plain) * 100)


def postings() -> list[Movement]:
    """As the page shows the events: kinds of accounts only."""
    found = [
        Movement(*(f"merchant:{MERCHANT}:{kind}" if kind in ACCOUNTS else f"platform:{kind}" for kind in sides),
                 is_late=False, count=1, amount_minor=int(amount))
        for *sides, amount in POSTING.findall(PAGE)
    ]  # fmt: skip
    assert len(found) == 9
    return found


def test_the_settlement_follows_from_the_events() -> None:
    figures = settle(MERCHANT, {}, postings())
    found = SHOWN.findall(PAGE)
    shown = {name: minor(amount) for name, amount, after in found if not after}
    accounts = {name: (minor(before), minor(after)) for name, before, after in found if after}
    for section in Section:
        if section is not Section.BETWEEN and figures.sections[section]:
            assert shown[section] == figures.sections[section], section
    assert shown["closing balance"] == figures.closing_minor
    assert accounts == {account: (0, figures.closing[account]) for account in ACCOUNTS}
    assert f"is closed with {figures.line_count} lines" in PAGE


def test_the_statement_nets_and_has_a_line_for_each_movement_of_the_balance() -> None:
    records = RECORD.findall(PAGE)
    amounts = [(kind, section, what, minor(amount)) for kind, section, what, *_, amount in records if amount]
    sums = {section: amount for kind, section, _, amount in amounts if kind == "total"}
    lines = [(section, what, amount) for kind, section, what, amount in amounts if kind == "line"]
    [opening] = [amount for kind, *_, amount in amounts if kind == "opening"]
    [closing] = [amount for kind, *_, amount in amounts if kind == "closing"]
    assert opening + sum(sums.values()) == closing
    for section, total in sums.items():
        assert total == sum(amount for of, _, amount in lines if of == section), section
    [payout] = [amount for kind, *_, amount in amounts if kind == "payout"]
    assert -sums["payouts"] == payout
    by_rule = [
        (str(ruling.section), ruling.kind, ruling.sign * moved.amount_minor)
        for moved in postings()
        if (ruling := rule_on(moved.debit, moved.credit, MERCHANT)) and ruling.section is not Section.BETWEEN
    ]
    assert lines == by_rule
    assert closing == sum(settle(MERCHANT, {}, postings()).closing[account] for account in BALANCE)


def test_the_fee_is_that_of_the_plan() -> None:
    """1.4 % of 40.00 and 0.25; a quarter of it comes back with a quarter of the payment."""
    assert minor_units("0.81", "EUR") == 4000 * 140 // 10_000 + 25
    assert ("fees", "fee", -81) in [
        (section, what, minor(amount))
        for kind, section, what, *_, amount in RECORD.findall(PAGE)
        if kind == "line"
    ]


def test_its_commands_exist() -> None:
    group = typer.main.get_command(platform)
    used = set(re.findall(r"^\$ platform data settlements (\w+)", PAGE, re.MULTILINE))
    assert used >= {"list", "close", "lines", "show", "statement"}
    for name in ("data", "settlements"):
        assert isinstance(group, click.Group) or hasattr(group, "commands")
        group = group.commands[name]
    assert used <= set(group.commands)
