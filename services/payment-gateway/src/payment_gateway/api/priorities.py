"""What goes first while the process is behind: pay > refund > read > list > report (reliability.md 8)."""

from __future__ import annotations

from typing import Final

from sqlalchemy.pool import QueuePool
from starlette.responses import Response
from starlette.types import Scope

from payment_gateway.api.stripe.errors import envelope
from payment_gateway.operations.deps import Deps
from platform_kit.overload import Overloaded, Priority, Shedding, as_problem

# What makes, takes, holds or gives up a payment; and what channels report of one, which finishes what is paid for.
_PAYING: Final = ("/v1/payments", "/v1/payment_intents", "/internal/channel-events")
_REFUNDING: Final = ("/refunds", "/payouts", "/v1/ledger/")  # the ledger by itself moves money too
# Whole histories, read in bulk; nobody waits at a counter for them.
_REPORTS: Final = (
    "/v1/audit-log",
    "/v1/admin/audit-log",
    "/v1/balance-transactions",
    "/v1/balance_transactions",
    "/v1/ledger/transfers",
    "/v1/ledger/verification",
    "/v1/webhook-deliveries",
)
_SINGLE: Final = (
    "/v1/balance",
    "/v1/merchant",
    "/internal/events",
)  # reads without an id; the last is consumers'
_DOORS: Final = ("/health/", "/version", "/metrics", "/openapi.json")
_FACADE: Final = "/stripe"
_IDS: Final = "_"  # every id has one, and no name of a collection of the native API


def priority_of(method: str, path: str) -> Priority | None:
    """None for the doors of the operators, which must answer whatever happens."""
    if path.startswith(_DOORS):
        return None
    native = path.removeprefix(_FACADE)
    if method in ("GET", "HEAD"):
        if native.startswith(_REPORTS):
            return Priority.REPORT
        of_one = native in _SINGLE or _IDS in native.removeprefix("/v1/").partition("/")[2]
        return Priority.READ if of_one else Priority.LIST
    if any(word in native for word in _REFUNDING):
        return Priority.REFUND
    return Priority.PAY if native.startswith(_PAYING) else Priority.READ


def refuse(scope: Scope) -> Response:
    """In the form that the path's clients read."""
    if not scope["path"].startswith(_FACADE):
        return as_problem(scope)
    overloaded = Overloaded()
    return envelope(overloaded.status, overloaded.body(None, None), overloaded.headers)


async def take_a_connection(deps: Deps) -> None:
    """What every request queues for: one of the process's few connections. While there is one, nobody queues, and to
    take it would cost a question to Postgres."""
    pool = deps.engine.pool
    assert isinstance(pool, QueuePool)
    if pool.checkedout() < pool.size():
        return
    async with deps.engine.connect():
        pass


SHEDDING: Final = Shedding(priority_of, refuse, take_a_connection)
