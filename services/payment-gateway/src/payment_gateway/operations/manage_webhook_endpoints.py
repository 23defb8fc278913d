"""Where a merchant wants to be told: make, look up, change, delete, give a new secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.clients import egress
from payment_gateway.domain.audit import THE_PLATFORM, Actor, Entry
from payment_gateway.domain.webhook import new_secret
from payment_gateway.domain.webhook_endpoint import RETIRING_MAX, Endpoint, RetiringKeys, endpoint_object
from payment_gateway.domain.webhook_keys import Keys, new_private_key
from payment_gateway.domain.webhook_style import NATIVE
from payment_gateway.operations.webhook_secrets import opened, sealed
from payment_gateway.store import audit_log, webhook_endpoints
from payment_gateway.store.tenancy import as_merchant
from platform_kit.ids import is_id, new_id
from platform_kit.problems import NotFound, Problem

if TYPE_CHECKING:
    from payment_gateway.operations.deps import Deps

ENDPOINTS_MAX: Final = 16  # live ones of one merchant: each event is sent to every one
OVERLAP_MAX: Final = timedelta(days=7)


class WebhookUrlNotAllowed(Problem):
    status, code, title = 422, "webhook-url-not-allowed", "We do not send webhooks to this URL"


class TooManyWebhookEndpoints(Problem):
    status, code, title = 422, "too-many-webhook-endpoints", "This merchant has all the endpoints it can have"

    def __init__(self) -> None:
        super().__init__(f"At most {ENDPOINTS_MAX} endpoints can be live at once.")


class TooManyWebhookSecrets(Problem):
    status, code, title = 409, "too-many-webhook-secrets", "Older secrets of this endpoint are still live"


@dataclass(frozen=True, slots=True)
class WebhookEndpointPage:
    """`next_after` is the id to continue after; None at the end."""

    endpoints: Sequence[dict[str, Any]]
    next_after: str | None


async def register_webhook_endpoint(
    deps: Deps,
    merchant_id: str,
    url: str,
    *,
    event_types: Sequence[str] | None = None,
    event_names: Sequence[str] | None = None,
    description: str | None = None,
    metadata: Mapping[str, str] | None = None,
    style: str = NATIVE,
    by: Actor = THE_PLATFORM,
) -> dict[str, Any]:
    """The new endpoint with its `secret`, which is shown this once.

    Raises WebhookUrlNotAllowed, TooManyWebhookEndpoints.
    """
    await _check(url, allow_private=deps.settings.webhook_allow_private)
    endpoint = Endpoint(
        id=new_id("we"),
        merchant_id=merchant_id,
        url=url,
        keys=Keys(new_secret(), new_private_key()),
        created_at=datetime.min.replace(tzinfo=UTC),  # the database's own time is what counts
        event_types=event_types,
        event_names=event_names,
        description=description,
        metadata=metadata or {},
        style=style,
    )
    async with deps.engine.begin() as connection:
        if await webhook_endpoints.count_live(connection, merchant_id) >= ENDPOINTS_MAX:
            raise TooManyWebhookEndpoints()
        made = await webhook_endpoints.insert(connection, sealed(deps.vault, endpoint))
        await _record(connection, by, "created", made, {"url": url, "event_types": event_types})
    return endpoint_object(opened(deps.vault, made), deps.clock.now()) | {"secret": endpoint.keys.secret}


async def get_webhook_endpoint(deps: Deps, merchant_id: str, endpoint_id: str) -> dict[str, Any]:
    """Raises NotFound, also for another merchant's endpoint."""
    async with as_merchant(deps.engine, merchant_id) as connection:
        return endpoint_object(await find(deps, connection, merchant_id, endpoint_id), deps.clock.now())


async def list_webhook_endpoints(
    deps: Deps, merchant_id: str, *, after: str | None = None, limit: int = 100
) -> WebhookEndpointPage:
    """A merchant's endpoints, disabled ones too, oldest first, without their secrets."""
    async with as_merchant(deps.engine, merchant_id) as connection:
        found = await webhook_endpoints.page(connection, merchant_id, after, limit + 1)
    now = deps.clock.now()
    return WebhookEndpointPage(
        [endpoint_object(opened(deps.vault, endpoint), now) for endpoint in found[:limit]],
        found[limit - 1].id if len(found) > limit else None,
    )


async def update_webhook_endpoint(
    deps: Deps, merchant_id: str, endpoint_id: str, changes: Mapping[str, Any], by: Actor = THE_PLATFORM
) -> dict[str, Any]:
    """Change `url`, `event_types`, `description`, `metadata` or `enabled`; what is not named stays, except that
    `event_types` without `event_names` are heard of under all names.

    Disabling gives up what is due; enabling forgets old failures. Raises NotFound, WebhookUrlNotAllowed,
    TooManyWebhookEndpoints.
    """
    if "event_types" in changes:
        changes = {"event_names": None, **changes}
    if "url" in changes:
        await _check(changes["url"], allow_private=deps.settings.webhook_allow_private)
    async with deps.engine.begin() as connection:
        live = await webhook_endpoints.count_live(connection, merchant_id)
        before = await find(deps, connection, merchant_id, endpoint_id, lock=True)
        after = replace(before, **changes)
        if after.enabled and not before.enabled and live >= ENDPOINTS_MAX:
            raise TooManyWebhookEndpoints()
        made = await webhook_endpoints.update(connection, sealed(deps.vault, after))
        await _record(connection, by, "updated", made, changes)
        return endpoint_object(opened(deps.vault, made), deps.clock.now())


async def delete_webhook_endpoint(
    deps: Deps, merchant_id: str, endpoint_id: str, by: Actor = THE_PLATFORM
) -> None:
    """Raises NotFound."""
    async with deps.engine.begin() as connection:
        endpoint = await find(deps, connection, merchant_id, endpoint_id, lock=True)
        await webhook_endpoints.delete(connection, endpoint.id)
        await _record(connection, by, "deleted", endpoint, {"url": endpoint.url})


async def rotate_webhook_secret(
    deps: Deps, merchant_id: str, endpoint_id: str, overlap: timedelta, by: Actor = THE_PLATFORM
) -> dict[str, Any]:
    """A new secret and key pair; the old ones sign too for `overlap` (0 = they are leaked: from now on they do not).

    The endpoint with its new `secret`, which is shown this once. Raises NotFound, TooManyWebhookSecrets.
    """
    now = deps.clock.now()
    async with deps.engine.begin() as connection:
        before = await find(deps, connection, merchant_id, endpoint_id, lock=True)
        retiring = [one for one in before.retiring if one.expires_at > now] if overlap else []
        if overlap:
            retiring.insert(0, RetiringKeys(before.keys, now + overlap))
        if len(retiring) > RETIRING_MAX:
            raise TooManyWebhookSecrets(
                "Wait until one expires, or rotate with `overlap_s` 0 to end them all."
            )
        fresh = replace(before, keys=Keys(new_secret(), new_private_key()), retiring=retiring)
        made = await webhook_endpoints.update(connection, sealed(deps.vault, fresh))
        told = {"overlap_s": int(overlap.total_seconds())}
        await _record(connection, by, "secret_rotated", made, told)
    return endpoint_object(opened(deps.vault, made), now) | {"secret": fresh.keys.secret}


async def find(
    deps: Deps, connection: AsyncConnection, merchant_id: str, endpoint_id: str, *, lock: bool = False
) -> Endpoint:
    """A merchant's endpoint, its keys opened. Raises NotFound."""
    found = None
    if is_id("we", endpoint_id):  # anything else is no endpoint's, and Postgres would choke on some of it
        found = await webhook_endpoints.get(connection, merchant_id, endpoint_id, lock=lock)
    if found is None:
        raise NotFound("This merchant has no such webhook endpoint.")
    return opened(deps.vault, found)


async def _record(
    connection: AsyncConnection, by: Actor, act: str, endpoint: Endpoint, details: Mapping[str, Any]
) -> None:
    """Keep the act. Of a URL only where it leads: some carry a token behind it."""
    told = dict(details)
    if "url" in told:
        parts = urlsplit(told["url"])
        told["url"] = f"{parts.scheme}://{parts.hostname}"
    entry = Entry(f"webhook_endpoint.{act}", endpoint.merchant_id, endpoint.id, told)
    await audit_log.record(connection, by, entry)


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
