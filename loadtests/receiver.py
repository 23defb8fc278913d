"""The shop's webhook receiver: verifies each signature, lets each event have its effect once, remembers all.

    RECEIVER_SECRET=whsec_... python -m loadtests.receiver --port 9100 --journal webhooks.jsonl

Deliveries come at least once: a second one of the same id is counted and has no effect. What does not verify is
counted too, refused with 401, and has none either.
"""

import argparse
import asyncio
import json
import os
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError


class Receiver:
    """Its state, and its two doors: POST /hooks for the platform, GET /seen/{payment} for the shop's own journeys."""

    def __init__(self, secret: str, journal: Path) -> None:
        self._webhook = Webhook(secret)
        self._journal = journal.open("a", encoding="utf-8", buffering=1)
        self._effects: set[str] = set()
        self._captured: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        raw = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        at = time.time()
        try:
            self._webhook.verify(raw, headers)
        except WebhookVerificationError:
            self._write({"at": at, "forged": True, "event_id": headers.get("webhook-id")})
            return web.Response(status=401)
        event: dict[str, Any] = json.loads(raw)
        is_first = event["id"] not in self._effects
        self._effects.add(event["id"])
        about = event.get("aggregate_id", "")
        # written before the answer: an event that we have said yes to is in the book
        self._write(
            {"at": at, "event_id": event["id"], "type": event["type"], "about": about, "first": is_first}
        )
        if event["type"] == "payment.captured.v1":
            self._captured[about].set()
        return web.Response(status=204)

    async def seen(self, request: web.Request) -> web.Response:
        """200 once the capture of the payment was told, 408 when it was not within `within_s`."""
        payment = request.match_info["payment"]
        try:
            await asyncio.wait_for(self._captured[payment].wait(), float(request.query.get("within_s", "30")))
        except TimeoutError:
            return web.Response(status=408)
        return web.json_response({"payment": payment})

    def _write(self, line: dict[str, Any]) -> None:
        self._journal.write(json.dumps(line) + "\n")


def application(secret: str, journal: Path) -> web.Application:
    receiver = Receiver(secret, journal)
    app = web.Application()
    app.router.add_post("/hooks", receiver.take)
    app.router.add_get("/seen/{payment}", receiver.seen)
    return app


def main() -> None:
    parser = argparse.ArgumentParser(description="The webhook receiver of a load test.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    options = parser.parse_args()
    app = application(os.environ["RECEIVER_SECRET"], options.journal)
    web.run_app(app, host=options.host, port=options.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
