"""The first load test: shops pay, capture, refund, repeat a lost request, and look.

    make load                                    # against `make up`
    make load LOAD_ARGS="-u 40 -t 2m"            # more shops, longer
    GATEWAY_URL=http://127.0.0.1:8080 DEMO_API_KEY=sk_test_... make load

The exit code is the verdict on `slo.yaml`. A decline is a result here as it is in the API, not a failure.

The users form a closed loop: each waits for its answer before it goes on, so a slow platform is asked less, and the
latencies of a run under overload look better than they are (coordinated omission). `constant_throughput` bounds that:
every user begins PACE journeys a second as long as the platform keeps up, so as long as `achieved` in the summary is
what was asked for, the figures are those of an open loop. A true open-loop driver belongs to the performance suite.
"""

import os
import random
import secrets
import string
from typing import Any

from locust import FastHttpUser, constant_throughput, events, task
from locust.env import Environment

from platform_cli.load_slo import Figures, misses, read_slo

PACE = float(os.environ.get("LOAD_PACE", "2"))  # journeys a second per user
SLO_FILE = os.environ.get("LOAD_SLO", os.path.join(os.path.dirname(__file__), "slo.yaml"))


class Shop(FastHttpUser):
    """One merchant's checkout."""

    host = os.environ.get("GATEWAY_URL", "http://127.0.0.1:8000")
    wait_time = constant_throughput(PACE)
    network_timeout = 20.0
    connection_timeout = 5.0

    def on_start(self) -> None:
        key = os.environ.get("DEMO_API_KEY")
        if not key:
            raise SystemExit("DEMO_API_KEY is not set: `make up` writes it to .platform/env")
        self.bearer = {"Authorization": f"Bearer {key}"}

    @task(10)
    def pay(self) -> None:
        """Most orders: captured at once."""
        self._pay("pay")

    @task(2)
    def pay_with_a_bad_card(self) -> None:
        """One order in ten is declined by the issuer; that is how it should be."""
        self._pay("pay (declined)", token="tok_declined", expected="declined")

    @task(2)
    def hold_and_capture(self) -> None:
        held = self._pay("pay (hold)", expected="authorised", capture="manual")
        if held:
            self._post(f"/v1/payments/{held['id']}/capture", {}, "capture", 200)

    @task(2)
    def pay_and_refund(self) -> None:
        paid = self._pay("pay")
        if paid:
            self._post(f"/v1/payments/{paid['id']}/refunds", {"reason": "returned"}, "refund", 201)

    @task(2)
    def repeat_a_lost_request(self) -> None:
        """The same key and body twice: the second answer must be the first one."""
        key, body = secrets.token_hex(12), self._order()
        first = self._post("/v1/payments", body, "pay", 201, key)
        self._post("/v1/payments", body, "replay", 201, key, same_as=first)

    @task(3)
    def look(self) -> None:
        """A shop polls: the newest payments, then one of them."""
        with self.client.get(
            "/v1/payments?limit=5", headers=self.bearer, name="list", catch_response=True
        ) as reply:
            page = reply.json() if reply.status_code == 200 else None
            if page is None:
                reply.failure(f"status {reply.status_code}")
        for payment in (page or {"data": []})["data"][:1]:
            self.client.get(f"/v1/payments/{payment['id']}", headers=self.bearer, name="get")

    def _order(self, token: str = "tok_visa", **more: Any) -> dict[str, Any]:
        """A customer and a card of its own each time: one card a thousand times is what risk is there to stop."""
        letters = "".join(
            random.choices(string.ascii_lowercase, k=12)
        )  # digits might look like a card number
        card = {"type": "card", "card": {"token": f"{token}_{letters}"}}
        return {"amount_minor": random.randint(500, 9000), "currency": "EUR", "method": card, **more}

    def _pay(
        self, name: str, token: str = "tok_visa", expected: str = "captured", **more: Any
    ) -> dict[str, Any] | None:
        """The payment, or None when it is not in the expected state (risk may challenge or hold any of them)."""
        payment = self._post("/v1/payments", self._order(token, **more), name, 201)
        return payment if payment and payment["status"] == expected else None

    def _post(
        self,
        path: str,
        body: dict[str, Any],
        name: str,
        status: int,
        key: str | None = None,
        same_as: dict[str, Any] | None = None,
    ) -> dict[str, Any] | None:
        headers = {**self.bearer, "Idempotency-Key": key or secrets.token_hex(12)}
        with self.client.post(path, json=body, headers=headers, name=name, catch_response=True) as reply:
            if reply.status_code != status:
                reply.failure(f"status {reply.status_code}")
                return None
            answer: dict[str, Any] = reply.json()
            if same_as is not None and answer != same_as:
                reply.failure("the replay differs from the first answer")
        return answer


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def judge(environment: Environment, **_: Any) -> None:
    """Hold the figures against slo.yaml; a miss is the exit code 3, an exception in a user 2, as Locust has it."""
    figures = [
        Figures(
            name=entry.name,
            requests=entry.num_requests,
            failures=entry.num_failures,
            p50_ms=entry.get_response_time_percentile(0.50) or 0,
            p95_ms=entry.get_response_time_percentile(0.95) or 0,
            p99_ms=entry.get_response_time_percentile(0.99) or 0,
        )
        for entry in [*environment.stats.entries.values(), environment.stats.total]
    ]
    missed = misses(figures, read_slo(SLO_FILE))
    print("\n".join(["", "SLO: all met" if not missed else "SLO: MISSED", *(f"  {line}" for line in missed)]))
    if missed:
        environment.process_exit_code = 3
    elif environment.process_exit_code is None:
        environment.process_exit_code = 0
