"""A ledger in memory: nothing is durable, so its figures say what HTTP and this client cost, not what a ledger does.

python -m loadtests.compare.reference_server PORT [--forget-keys]     the latter books repeats again (a control)
"""

import sys
from typing import Any

from aiohttp import web


class Books:
    """Balances by book, and answers by key."""

    def __init__(self, *, forget_keys: bool) -> None:
        self._books: dict[str, list[int]] = {}
        self._transfers: dict[str, int] = {}
        self._answers: dict[str, dict[str, Any]] = {}
        self._forget_keys = forget_keys

    async def open(self, request: web.Request) -> web.Response:
        book = request.match_info["book"]
        self._books[book] = [0] * int((await request.json())["accounts"])
        self._transfers[book] = 0
        return web.json_response({}, status=201)

    async def move(self, request: web.Request) -> web.Response:
        book, key, body = request.match_info["book"], request.headers["Idempotency-Key"], await request.json()
        if key in self._answers and not self._forget_keys:
            return web.json_response(self._answers[key])
        balances = self._books[book]
        balances[body["from"]] -= body["amount"]
        balances[body["to"]] += body["amount"]
        self._transfers[book] += 1
        self._answers[key] = {"number": self._transfers[book]}
        return web.json_response(self._answers[key], status=201)

    async def read(self, request: web.Request) -> web.Response:
        book = request.match_info["book"]
        return web.json_response({"balances": self._books[book], "transfers": self._transfers[book]})


def application(*, forget_keys: bool = False) -> web.Application:
    books = Books(forget_keys=forget_keys)
    app = web.Application()
    app.router.add_post("/books/{book}", books.open)
    app.router.add_post("/books/{book}/transfers", books.move)
    app.router.add_get("/books/{book}", books.read)
    return app


if __name__ == "__main__":
    made = application(forget_keys="--forget-keys" in sys.argv)
    web.run_app(made, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
