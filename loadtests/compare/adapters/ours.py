"""Our own ledger, as a merchant uses it."""

import json
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

NAME = "ours"


def prepare(call: Any, accounts: int, currency: str) -> Any:
    """Accounts of a merchant; LEDGER_API_KEY is its key (`compare` makes a merchant and sets it)."""
    headers = {"Authorization": f"Bearer {os.environ['LEDGER_API_KEY']}", "Content-Type": "application/json"}
    prefix = f"c{secrets.token_hex(4)}"

    def open_account(number: int) -> None:
        body = json.dumps({"name": f"{prefix}.{number:06}", "currency": currency}).encode()
        status, answer = call("POST", "/v1/ledger/accounts", headers, body)
        if status != 201:
            raise RuntimeError(f"no account: {status} {answer!r}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(open_account, range(accounts)))
    return {"headers": headers, "prefix": prefix, "currency": currency}


def transfer(
    made: Any, debit: int, credit: int, amount_minor: int, key: str
) -> tuple[str, str, dict[str, str], bytes]:
    """One transfer, one request."""
    body = {
        "debit_account": f"{made['prefix']}.{debit:06}",
        "credit_account": f"{made['prefix']}.{credit:06}",
        "amount_minor": amount_minor,
        "currency": made["currency"],
    }
    return (
        "POST",
        "/v1/ledger/transfers",
        {**made["headers"], "Idempotency-Key": key},
        json.dumps(body).encode(),
    )


def is_done(status: int, body: bytes) -> bool:
    """201 for the first answer and for every replay of it."""
    return status == 201


def balances(call: Any, made: Any, accounts: int) -> list[int]:
    """From the list of accounts, page by page."""
    found: dict[int, int] = {}
    cursor = ""
    while True:
        status, answer = call("GET", f"/v1/ledger/accounts?limit=100{cursor}", made["headers"])
        if status != 200:
            raise RuntimeError(f"no balances: {status} {answer!r}")
        page = json.loads(answer)
        for account in page["data"]:
            prefix, _, number = account["name"].partition(".")
            if prefix == made["prefix"]:
                found[int(number)] = account["credits_posted_minor"] - account["debits_posted_minor"]
        if not page["next_cursor"]:
            return [found[number] for number in range(accounts)]
        cursor = f"&cursor={page['next_cursor']}"
