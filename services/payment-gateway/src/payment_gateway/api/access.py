"""Who is asking: a merchant by API key, the administrator, or another service."""

from __future__ import annotations

import asyncio
import base64
import hmac
import re
import time
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncEngine

from payment_gateway.api.personal_data import MERCHANT_ID
from payment_gateway.api.versions import answer_headers
from payment_gateway.domain.audit import ADMINISTRATOR, API_KEY, OPERATOR, Actor
from payment_gateway.domain.scopes import allows, needed_scope
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.manage_api_keys import InsufficientScope
from payment_gateway.operations.manage_merchants import find_key, hash_key, when_it_ended
from payment_gateway.store.merchants import LiveKey
from platform_kit import canonical
from platform_kit.clock import isoformat
from platform_kit.problems import Problem, Unauthenticated
from platform_kit.rate_limits import RateLimited

CACHE_S = 1.0  # a revoked key works for at most this long (S11), and Postgres is asked once a second per key
CACHED_KEYS_MAX = 10_000

ACTING_FOR: Final = "acting-for"
KEY_SCOPES: Final = "key_scopes"
"""In the scope: what the merchant's key may do; None = all."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")

auth_failures_total = Counter(
    "auth_failures_total",
    "Requests without a valid key at the door of merchants, the administrator or our services.",
    ["door"],
)

_cache: dict[bytes, tuple[float, LiveKey]] = {}
_asked: dict[bytes, asyncio.Task[LiveKey | None]] = {}


async def deps_of(request: Request) -> Deps:
    """The process's dependencies. Async, though it waits for nothing: FastAPI runs what is not in a thread."""
    deps: Deps = request.app.state.deps
    return deps


async def engine_of(request: Request) -> AsyncEngine:
    return (await deps_of(request)).engine


class MerchantDisabled(Problem):
    status, code, title = 403, "merchant-disabled", "This merchant is disabled"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated merchant, and what its request may use."""

    merchant_id: str
    deps: Deps
    key_id: str
    scopes: frozenset[str] | None = None
    """What its key may do; None = all."""
    request_id: str | None = None

    @property
    def actor(self) -> Actor:
        """Who this is in the audit log."""
        return Actor(API_KEY, self.key_id, self.request_id)


async def caller_of(request: Request) -> Caller:
    """The merchant whose key was sent. Raises Unauthenticated, MerchantDisabled, RateLimited, or InsufficientScope
    for a route beyond the key."""
    deps = await deps_of(request)
    try:
        key = await _key_of(request, deps)
    except Unauthenticated:
        deps.limits.failures.count(_client(request))
        auth_failures_total.labels("merchant").inc()
        raise
    canonical.add(merchant_id=key.merchant_id)
    request.scope[MERCHANT_ID] = key.merchant_id
    request.scope[KEY_SCOPES] = key.scopes
    version = answer_headers(request.scope, key.api_version)
    lease = await deps.limits.admit(key.id, request.method)
    if key.is_disabled:
        raise MerchantDisabled("What it has running goes on; ask the platform's operator.")
    deps.key_uses.note(key.id)
    request.scope[canonical.ANSWER_HEADERS] = (
        *version,
        (b"ratelimit-policy", lease.policy),
        (b"ratelimit", lease.standing().encode()),
    )
    if key.scopes is not None:
        needed = needed_scope(getattr(request.scope.get("route"), "tags", ()), request.method)
        if not allows(key.scopes, needed):
            raise InsufficientScope(f"It needs the scope {needed}.")
    return Caller(key.merchant_id, deps, key.id, key.scopes, request.scope.get("request_id"))


async def _key_of(request: Request, deps: Deps) -> LiveKey:
    token = _token(request)
    digest = hash_key(token)
    known = _cache.get(digest)
    if known is None or known[0] < time.monotonic():
        # Postgres is not asked for one who guesses; a key that this process has known works on, for its owner may
        # come from the same address (a proxy's).
        if known is None and deps.limits.failures.spent(_client(request)):
            raise RateLimited()
        key = await _find_once(deps, digest, token)
        if key is None:
            raise await _refusal(deps, token)
        if len(_cache) >= CACHED_KEYS_MAX:
            _cache.clear()
        known = _cache[digest] = (time.monotonic() + CACHE_S, key)
    return known[1]


async def _refusal(deps: Deps, token: str) -> Unauthenticated:
    """Who holds a key that has ended may know that it has: a shop that stands still looks for a typo otherwise."""
    ended_at = await when_it_ended(deps, token)
    if ended_at is None:
        return Unauthenticated()
    return Unauthenticated(
        f"This key ended at {isoformat(ended_at)}, by its expiry or because it was rotated or revoked. Use the one that"
        " replaced it, or have a new one made."
    )


async def _find_once(deps: Deps, digest: bytes, token: str) -> LiveKey | None:
    """One question to Postgres for all requests of a busy key that find it too old in the same moment."""
    asking = _asked.get(digest)
    if asking is None:
        asking = _asked[digest] = asyncio.create_task(find_key(deps, token))
        asking.add_done_callback(lambda _: _asked.pop(digest, None))
    return await asyncio.shield(asking)


def _client(request: Request) -> str:
    """The address that connected: behind a proxy the proxy's, for what a client says of itself moves no limit (S20)."""
    return request.client.host if request.client else ""


async def require_admin(request: Request) -> Actor:
    """The administrator. Raises Unauthenticated, or RateLimited, unless the administrator's key was sent."""
    deps = await deps_of(request)
    _require(request, deps, deps.settings.admin_api_key.get_secret_value(), door="admin")
    return Actor(ADMINISTRATOR, None, request.scope.get("request_id"))


class NobodyNamed(Problem):
    status, code, title = 403, "nobody-named", "The header Acting-For names nobody"


async def operator_of(request: Request) -> Actor:
    """The person for whom the console asks: the internal token vouches for the name in `Acting-For`. What they may do
    is the console's to know. Raises Unauthenticated, RateLimited, NobodyNamed."""
    await require_internal(request)
    name = request.headers.get(ACTING_FOR, "")
    if not _NAME.fullmatch(name):
        raise NobodyNamed("Send the operator's name: who acts stands in the audit log.")
    canonical.add(actor=name)
    return Actor(OPERATOR, name, request.scope.get("request_id"))


async def require_internal(request: Request) -> None:
    """Raises Unauthenticated, or RateLimited, unless the services' shared token was sent."""
    deps = await deps_of(request)
    _require(request, deps, deps.settings.internal_token.get_secret_value(), door="internal")


def _require(request: Request, deps: Deps, expected: str, *, door: str) -> None:
    client = _client(request)
    try:
        if not expected or not hmac.compare_digest(_bearer(request).encode(), expected.encode()):
            raise Unauthenticated()
    except Unauthenticated:
        auth_failures_total.labels(door).inc()
        if deps.limits.failures.spent(client):
            raise RateLimited() from None
        deps.limits.failures.count(client)
        raise


def _token(request: Request) -> str:
    """A merchant's key: as bearer, or as the user name of HTTP Basic, as Stripe's clients may send it."""
    headers = request.headers.getlist("authorization")
    scheme, _, encoded = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    if scheme.lower() != "basic":
        return _bearer(request)
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode("ascii").partition(":")
    except ValueError:
        raise Unauthenticated() from None
    if not user or password or len(user) > 200:
        raise Unauthenticated()
    return user


def _bearer(request: Request) -> str:
    headers = request.headers.getlist("authorization")
    scheme, _, token = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not token or len(token) > 200:
        raise Unauthenticated()
    return token


Merchant = Annotated[Caller, Depends(caller_of)]
"""One dependency for both: each costs 20 us of FastAPI's machinery."""
GatewayDeps = Annotated[Deps, Depends(deps_of)]

Administrator = Annotated[Actor, Depends(require_admin)]
Operator = Annotated[Actor, Depends(operator_of)]
