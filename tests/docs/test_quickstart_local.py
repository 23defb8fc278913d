"""The quick start names what `platform up` really gives."""

import json
import re

from platform_cli.demo.report import WHAT_HAPPENED
from platform_cli.stack.roles import ROLES
from platform_cli.stack.state import clone

TEXT = (clone() / "docs" / "quickstart-local.md").read_text(encoding="utf-8")


def test_every_process_is_in_the_recorded_table() -> None:
    for role in (*(role.name for role in ROLES), "postgres", "redis"):
        assert re.search(rf"^ *{role} .*ready", TEXT, re.M), role


def test_the_recorded_demonstration_is_of_this_program() -> None:
    for name, _ in WHAT_HAPPENED:
        assert name in TEXT
    assert "ledger balanced" in TEXT
    assert "0 lost, 0 doubled, 0 stuck" in TEXT


def test_the_recorded_payment_has_the_members_of_the_newest_version() -> None:
    (recorded,) = re.findall(r"^```json\n(.*?)^```$", TEXT, re.M | re.S)
    newest = max((clone() / "services/payment-gateway/contracts/versions").glob("*.json"))
    promised = json.loads(newest.read_text(encoding="utf-8"))["Payment"]["properties"]
    assert json.loads(recorded).keys() == promised.keys()


def test_no_place_of_the_machine_where_it_was_recorded_is_in_it() -> None:
    assert not re.search(r"/(root|home|work|tmp)/", TEXT)
