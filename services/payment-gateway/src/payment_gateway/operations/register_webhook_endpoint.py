"""Where a merchant wants to be told: register an endpoint with a secret of its own, list what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from payment_gateway.clients import egress
from payment_gateway.domain.webhook import new_secret
from payment_gateway.store import webhooks
from platform_kit.clock import isoformat
from platform_kit.ids import new_id
from platform_kit.problems import Problem

if TYPE_CHECKING:
    from payment_gateway.operations.deps import Deps

ENDPOINTS_MAX: Final = 16  # live ones of one merchant: each event is sent to every one


class WebhookUrlNotAllowed(Problem):
    status, code, title = 422, "webhook-url-not-allowed", "We do not send webhooks to this URL"


class TooManyWebhookEndpoints(Problem):
    status, code, title = 422, "too-many-webhook-endpoints", "This merchant has all the endpoints it can have"


async def register_webhook_endpoint(deps: Deps, merchant_id: str, url: str) -> dict[str, Any]:
    """The new endpoint with its `secret`, which is shown this once.

    Raises WebhookUrlNotAllowed, TooManyWebhookEndpoints.
    """
    await _check(url, allow_private=deps.settings.webhook_allow_private)
    endpoint_id, secret = new_id("we"), new_secret()
    async with deps.engine.begin() as connection:
        if await webhooks.count_endpoints(connection, merchant_id) >= ENDPOINTS_MAX:
            raise TooManyWebhookEndpoints(f"At most {ENDPOINTS_MAX} endpoints can be live at once.")
        created_at = await webhooks.insert_endpoint(
            connection, id=endpoint_id, merchant_id=merchant_id, url=url, secret=secret
        )
    return {
        "id": endpoint_id,
        "object": "webhook_endpoint",
        "url": url,
        "enabled": True,
        "secret": secret,
        "created_at": isoformat(created_at),
    }


async def list_webhook_endpoints(deps: Deps, merchant_id: str) -> list[dict[str, Any]]:
    """A merchant's endpoints, disabled ones too, without their secrets."""
    async with deps.engine.connect() as connection:
        found = await webhooks.list_endpoints(connection, merchant_id)
    return [
        {
            "id": row.id,
            "object": "webhook_endpoint",
            "url": row.url,
            "enabled": row.enabled,
            "created_at": isoformat(row.created_at),
        }
        for row in found
    ]


async def _check(url: str, *, allow_private: bool) -> None:
    """Form, host and port, and the addresses that the name has today. A name without any may get one later, and is
    checked again each time that we dial."""
    try:
        egress.check_url(url, allow_private=allow_private)
        parts = urlsplit(url)
        await egress.resolve(str(parts.hostname), parts.port or 443, allow_private=allow_private)
    except egress.NotAllowed:
        raise WebhookUrlNotAllowed("Use an https URL with a public host name, on port 443 or 80.") from None
    except (OSError, TimeoutError):
        return
