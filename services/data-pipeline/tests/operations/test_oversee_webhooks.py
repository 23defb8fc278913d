"""Sending again what an endpoint has not got: where it begins, and where it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from data_pipeline.domain.operators import Operator, Role
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.oversee_webhooks import PAGES_MAX, replay_deliveries

BY = Operator("ada", Role.OPERATOR)
MADE = "2026-11-20T10:00:00Z"


@dataclass
class Gateway:
    """Answers like the gateway whose merchant has `pages` times 500 events since the endpoint was made."""

    pages: int
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    async def get(self, path: str, operator: Operator) -> dict[str, Any]:
        return {"id": path.rpartition("/")[2], "created_at": MADE}

    async def act(self, path: str, operator: Operator, body: dict[str, Any], *, key: str) -> dict[str, Any]:
        self.asked.append(dict(body))
        self.keys.append(key)
        at = int(body.get("after", "0")) + 1
        return {"deliveries": 1, "has_more": at < self.pages, "next_after": str(at)}


def deps_with(gateway: Gateway) -> Deps:
    return cast(Deps, SimpleNamespace(gateway=gateway))


async def test_what_was_before_the_endpoint_is_not_sent() -> None:
    gateway = Gateway(pages=1)
    assert await replay_deliveries(deps_with(gateway), BY, "we_1", key="k") == (1, None)
    assert gateway.asked == [{"endpoint_id": "we_1", "undelivered_only": True, "occurred_from": MADE}]


async def test_what_is_more_than_a_request_can_do_goes_on_where_it_ended() -> None:
    gateway = Gateway(pages=PAGES_MAX + 2)
    made, rest = await replay_deliveries(deps_with(gateway), BY, "we_1", key="k")
    assert (made, rest) == (PAGES_MAX, str(PAGES_MAX))
    assert await replay_deliveries(deps_with(gateway), BY, "we_1", after=str(rest), key="m") == (2, None)
    assert [body.get("after") for body in gateway.asked] == [None, *map(str, range(1, PAGES_MAX + 2))]
    assert len(set(gateway.keys)) == PAGES_MAX + 2


async def test_one_event_is_sent_again_whenever_it_was() -> None:
    gateway = Gateway(pages=1)
    assert await replay_deliveries(deps_with(gateway), BY, "we_1", event_id="evt_1", key="k") == (1, None)
    assert gateway.asked == [{"event_id": "evt_1", "undelivered_only": False}]
