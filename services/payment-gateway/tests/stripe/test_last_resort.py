"""What nobody foresaw is an error in Stripe's shape too: the client reads the type, and repeats a request by itself."""

from __future__ import annotations

import pytest
from fastapi import APIRouter, FastAPI
from starlette.testclient import TestClient

from payment_gateway.api.stripe.route import StripeRoute


def answer_to(error: Exception) -> TestClient:
    router = APIRouter(route_class=StripeRoute)

    @router.get("/v1/broken")
    async def broken() -> None:
        raise error

    app = FastAPI()
    app.include_router(router)
    return TestClient(app, raise_server_exceptions=True)


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (KeyError("secret of the inside"), 500, "our side"),
        (ConnectionRefusedError("10.0.0.7:5432"), 503, "database is not available"),
    ],
)
def test_an_unexpected_error_is_an_api_error_that_tells_nothing_of_the_inside(
    error: Exception, status: int, told: str
) -> None:
    reply = answer_to(error).get("/v1/broken", headers={"Stripe-Version": "2024-06-20"})
    assert reply.status_code == status
    assert list(reply.json()) == ["error"]
    assert reply.json()["error"]["type"] == "api_error"
    assert told in reply.json()["error"]["message"]
    assert "under the same Idempotency-Key" in reply.json()["error"]["message"], "it may have been done"
    assert not [word for word in ("secret", "10.0.0.7") if word in reply.text]
    assert reply.headers["request-id"].startswith("req_")
    assert reply.headers["stripe-version"] == "2024-06-20"
