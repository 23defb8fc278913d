"""A gateway as small as the load tests need one, with harm on order: what judges has to be judged.

    python -m tests.loadtests.toy_gateway PORT '{"stall_at_s": 1, "stall_s": 1}'

It keeps payments in memory, by merchant-less truth: create, read, list, capture, refund, void, a ledger that balances.
"""

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from itertools import count
from typing import Any

from aiohttp import web

HARM = {
    "stall_at_s": None,  # seconds after the first payment: nobody is answered ...
    "stall_s": 0.0,  # ... for so long
    "lose_nth": 0,  # of all acknowledged payments this one is forgotten
    "double_nth": 0,  # this one is made twice
    "fail_share": 0,  # every n-th POST is answered 500, nothing done
    "hang_nth": 0,  # this payment is made, and its answer never comes
    "delay_s": 0.0,
}


class Toy:
    def __init__(self, harm: dict[str, Any]) -> None:
        self.harm = HARM | harm
        self.payments: list[dict[str, Any]] = []
        self.answers: dict[str, tuple[int, dict[str, Any]]] = {}
        self.first_at: float | None = None
        self.posts = 0
        self.numbers = count()

    async def _stall(self) -> None:
        if self.harm["delay_s"]:
            await asyncio.sleep(self.harm["delay_s"])
        if self.harm["stall_at_s"] is None:
            return
        self.first_at = self.first_at or time.monotonic()
        into = time.monotonic() - self.first_at - self.harm["stall_at_s"]
        if 0 <= into < self.harm["stall_s"]:
            await asyncio.sleep(self.harm["stall_s"] - into)

    async def pay(self, request: web.Request) -> web.Response:
        body, key = await request.json(), request.headers["Idempotency-Key"]
        await self._stall()
        self.posts += 1
        if self.harm["fail_share"] and self.posts % self.harm["fail_share"] == 0 and key not in self.answers:
            return web.json_response({"type": "x/internal"}, status=500)
        is_new = key not in self.answers
        if is_new:
            self.answers[key] = (201, self._make(body))
            number = len(self.answers)
            if number == self.harm["lose_nth"]:
                self.payments.pop()
            if number == self.harm["double_nth"]:
                self._make(body)
            if number == self.harm["hang_nth"]:
                await asyncio.sleep(60)
        status, answer = self.answers[key]
        return web.json_response(answer, status=status)

    def _make(self, body: dict[str, Any]) -> dict[str, Any]:
        is_declined = body["method"]["card"]["token"].startswith("tok_declined")
        is_held = body.get("capture") == "manual"
        status = "declined" if is_declined else "authorised" if is_held else "captured"
        payment = {
            "id": f"pay_{next(self.numbers):08}",
            "reference": body["reference"],
            "status": status,
            "amount_minor": body["amount_minor"],
            "currency": body["currency"],
            "captured_minor": body["amount_minor"] if status == "captured" else 0,
            "refunded_minor": 0,
            "created_at": datetime.now(UTC).isoformat(),
        }
        self.payments.append(payment)
        return dict(payment)

    async def one(self, request: web.Request) -> web.Response:
        await self._stall()
        return web.json_response(self._find(request))

    def _find(self, request: web.Request) -> dict[str, Any]:
        return next(one for one in self.payments if one["id"] == request.match_info["id"])

    async def all(self, request: web.Request) -> web.Response:
        after = int(request.query.get("cursor", "0"))
        page = self.payments[after : after + 100]
        more = str(after + 100) if after + 100 < len(self.payments) else None
        return web.json_response({"data": page, "next_cursor": more})

    async def capture(self, request: web.Request) -> web.Response:
        payment = self._find(request)
        payment |= {"status": "captured", "captured_minor": payment["amount_minor"]}
        return web.json_response(payment)

    async def refund(self, request: web.Request) -> web.Response:
        body, payment = await request.json(), self._find(request)
        payment["refunded_minor"] += body["amount_minor"]
        return web.json_response(
            {"id": f"rf_{payment['id']}", "status": "succeeded", "payment_id": payment["id"]}, status=201
        )

    async def version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": "toy"})

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/payments", self.pay)
        app.router.add_get("/v1/payments", self.all)
        app.router.add_get("/v1/payments/{id}", self.one)
        app.router.add_post("/v1/payments/{id}/capture", self.capture)
        app.router.add_post("/v1/payments/{id}/refunds", self.refund)
        app.router.add_get("/version", self.version)
        return app


if __name__ == "__main__":
    port, harm = int(sys.argv[1]), json.loads(sys.argv[2] if len(sys.argv) > 2 else "{}")
    web.run_app(Toy(harm).application(), host="127.0.0.1", port=port, print=None, access_log=None)
