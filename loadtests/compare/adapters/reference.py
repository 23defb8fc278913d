"""The reference server (loadtests/compare/reference_server.py), as a pattern for an adapter of yours."""

import json
import secrets
from typing import Any

NAME = "reference"


def prepare(call: Any, accounts: int, currency: str) -> Any:
    book = secrets.token_hex(4)
    status, _ = call("POST", f"/books/{book}", {}, json.dumps({"accounts": accounts}).encode())
    assert status == 201
    return book


def transfer(
    made: Any, debit: int, credit: int, amount_minor: int, key: str
) -> tuple[str, str, dict[str, str], bytes]:
    body = json.dumps({"from": debit, "to": credit, "amount": amount_minor}).encode()
    return "POST", f"/books/{made}/transfers", {"Idempotency-Key": key}, body


def is_done(status: int, body: bytes) -> bool:
    return status in (200, 201)


def balances(call: Any, made: Any, accounts: int) -> list[int]:
    found: list[int] = json.loads(call("GET", f"/books/{made}")[1])["balances"]
    return found


def count(call: Any, made: Any) -> int:
    return int(json.loads(call("GET", f"/books/{made}")[1])["transfers"])
