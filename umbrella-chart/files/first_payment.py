"""What `helm test` runs in the cluster: one payment through everything, told step by step.

Makes a merchant, pays, sends the same request again, refunds, and asks the ledger to verify itself. Standard library
only: it runs in the gateway's image. Reads GATEWAY_URL and the file ADMIN_API_KEY_FILE; exit 0 = all of it held.
"""

import json
import os
import secrets
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

GATEWAY = os.environ["GATEWAY_URL"]
ADMIN_KEY = Path(os.environ["ADMIN_API_KEY_FILE"]).read_text().strip()
RUN = f"helm_test_{secrets.token_hex(6)}"  # no long run of digits: it would look like a card number


def main():
    merchant = step(
        "make a merchant", call("POST", "/v1/merchants", ADMIN_KEY, {"name": RUN, "country": "NL"}), 201
    )
    key = merchant["api_key"]

    order = {
        "amount_minor": 1250,
        "currency": "EUR",
        "reference": RUN,
        "method": {"type": "card", "card": {"token": f"tok_visa_{RUN}"}},
    }
    payment = step("pay 12.50 EUR", call("POST", "/v1/payments", key, order, f"{RUN}-pay"), 201)
    expect(payment["status"] == "captured", f"captured, not {payment['status']}: {payment}")
    expect(
        (payment.get("risk") or {}).get("fallback") is False,
        f"risk-engine decided, not the fallback: {payment}",
    )

    again = step("send the same again", call("POST", "/v1/payments", key, order, f"{RUN}-pay"), 201)
    expect(again == payment, "a replayed key gets the same answer")

    path = f"/v1/payments/{payment['id']}/refunds"
    refund = step("refund 2.50", call("POST", path, key, {"amount_minor": 250}, f"{RUN}-refund"), 201)
    expect(refund["status"] in ("succeeded", "pending"), f"refunded, not {refund['status']}")

    found = step("look it up", call("GET", f"/v1/payments?reference={RUN}", key), 200)["data"]
    expect(len(found) == 1, f"paid once, not {len(found)} times")

    ledger = step("verify the ledger", call("GET", "/v1/ledger/verification", ADMIN_KEY), 200)
    expect(ledger["balanced"] is True, f"the ledger balances: {ledger}")
    print(f"ok: {payment['id']} captured, replayed, refunded; {ledger['transfers']} transfers balance")


def call(method, path, key, body=None, idempotency_key=None):
    """(status, parsed body). A service that is still starting gets 30 s; an answer of any kind ends the wait."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    if idempotency_key:
        headers["Idempotency-Key"] = idempotency_key
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(GATEWAY + path, data, headers, method=method)
    give_up = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(request, timeout=35) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode(errors="replace")
        except (urllib.error.URLError, ConnectionError) as unreachable:
            if time.monotonic() > give_up:
                return 0, str(unreachable)
            time.sleep(1)


def step(what, answer, status):
    """The body, when the answer has the wanted status."""
    print(f"- {what}: {answer[0]}", flush=True)
    expect(answer[0] == status, f"{what}: wanted {status}, got {answer[0]}: {answer[1]}")
    return answer[1]


def expect(held, claim):
    if not held:
        sys.exit(f"FAILED: {claim}")


if __name__ == "__main__":
    main()
