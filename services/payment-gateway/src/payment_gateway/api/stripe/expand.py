"""`expand[]`: whole objects in the place of ids, at most four levels deep, as Stripe's clients ask for them.

What may be expanded is checked before anything is done: a charge must not be made and then not be shown.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from payment_gateway.api.access import KEY_SCOPES
from payment_gateway.api.personal_data import MERCHANT_ID
from payment_gateway.api.stripe.calls import LIMIT_DEFAULT
from payment_gateway.api.stripe.errors import InvalidParameter
from payment_gateway.api.stripe.form import Form, read_form
from payment_gateway.api.stripe.names import native_id
from payment_gateway.domain import stripe_objects as render
from payment_gateway.domain.customer import customer_object, payment_method_object
from payment_gateway.domain.objects import payment_object
from payment_gateway.domain.scopes import allows
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.find_balance import movements_of_payment
from payment_gateway.operations.find_payments import get_payment
from payment_gateway.operations.manage_customers import get_customer
from payment_gateway.operations.manage_payment_methods import get_payment_method
from platform_kit.logging import get_logger
from platform_kit.problems import NotFound

log = get_logger(__name__)

DEPTH_MAX: Final = 4
PATHS_MAX: Final = 20
LOOKUPS_MAX: Final = (
    400  # of one page: each is a row by its key, and somebody else's requests wait for the same pool
)

EXPANDABLE: Final[Mapping[str, Mapping[str, str]]] = {
    "payment_intent": {
        "customer": "customer",
        "latest_charge": "charge",
        "payment_method": "payment_method",
    },
    "charge": {
        "customer": "customer",
        "payment_intent": "payment_intent",
        "balance_transaction": "balance_transaction",
    },
    "refund": {"charge": "charge", "payment_intent": "payment_intent"},
    "dispute": {"charge": "charge", "payment_intent": "payment_intent"},
    "payment_method": {"customer": "customer"},
    "setup_intent": {"customer": "customer", "payment_method": "payment_method"},
    "balance_transaction": {"source": "charge"},
    "customer": {},
    "payout": {},
    "event": {},
    "webhook_endpoint": {},
}
"""Object -> its members that are ids -> what stands behind them."""
_COLLECTIONS: Final = {f"{kind}s": kind for kind in EXPANDABLE}
_NEEDS: Final = {  # what an object's own URL needs: a key sees no more by expanding
    "customer": "customers:read",
    "payment_method": "customers:read",
    "charge": "payments:read",
    "payment_intent": "payments:read",
    "balance_transaction": "balance:read",
}
_PATH: Final = re.compile(r"[a-z_]+(\.[a-z_]+)*")

Path = tuple[str, ...]


async def paths_of(request: Request) -> Sequence[Path]:
    """What a request wants expanded. Raises InvalidParameter."""
    raw = await request.body() if request.method == "POST" else request.scope["query_string"]
    return _checked(request, await read_form(request)) if b"expand" in raw else ()


def _checked(request: Request, form: Form) -> Sequence[Path]:
    given = form.get("expand", [])
    texts = given if isinstance(given, list) else [given]
    if len(texts) > PATHS_MAX or not all(isinstance(one, str) and _PATH.fullmatch(one) for one in texts):
        raise InvalidParameter(
            f"Expand takes at most {PATHS_MAX} names, such as latest_charge or data.customer.", "expand"
        )
    paths = [_path(request, text) for text in texts]
    _bound(form, paths)
    return paths


def _bound(form: Form, paths: Sequence[Path]) -> None:
    """A page of a hundred with a dozen names would be thousands of look-ups: it is refused before the first."""
    levels = {path[:depth] for path in paths if path[0] == "data" for depth in range(2, len(path) + 1)}
    limit = form.get("limit")  # what is no limit is refused by the list itself
    size = int(limit) if isinstance(limit, str) and limit.isdecimal() and len(limit) < 4 else LIMIT_DEFAULT
    if len(levels) * size > LOOKUPS_MAX:
        raise InvalidParameter(
            f"These names would be up to {len(levels) * size} objects to look up, and one page looks up at most"
            f" {LOOKUPS_MAX}. Use a limit of at most {LOOKUPS_MAX // len(levels)}, or expand less.",
            "expand",
        )


def _path(request: Request, text: str) -> Path:
    """The members on the way, below `data` in a list."""
    *members, last = request.scope["path"].strip("/").split("/")
    is_list = request.method == "GET" and last in _COLLECTIONS
    kind = next((_COLLECTIONS[part] for part in (last, *members[::-1]) if part in _COLLECTIONS), "")
    path = tuple(text.split("."))
    steps = path[1:] if is_list and path[0] == "data" else () if is_list else path
    if len(steps) > DEPTH_MAX:
        raise InvalidParameter(f"At most {DEPTH_MAX} levels are expanded.", "expand")
    for member in steps:
        kind = EXPANDABLE.get(kind, {}).get(member, "")
        if not kind:
            break
    if not steps or not kind:
        raise InvalidParameter(
            f"This property cannot be expanded ({text})."
            + (" In a list it begins with `data.`." if is_list and path[0] != "data" else ""),
            "expand",
        )
    return path


async def expanded(request: Request, response: Response, paths: Sequence[Path]) -> Response:
    """The answer, which is opened, with whole objects. What the key may not read, what is not there any more and what
    never was (the card behind a test token) stays as it is named: by now the request has had its effect, and is not
    refused. Nor does a look-up that fails turn an act into an error: who is told so may do it again."""
    deps: Deps = request.app.state.deps
    looking = _Looking(deps, request.scope[MERCHANT_ID], request.scope.get(KEY_SCOPES))
    shown = orjson.loads(response.body)
    try:
        for path in paths:
            await looking.expand(shown, path)
    except Exception as error:
        if request.method == "GET":
            raise
        log.warning("an act's answer is not expanded", error=repr(error))
        return response
    response.body = orjson.dumps(shown)
    response.headers["content-length"] = str(len(response.body))
    return response


class _Looking:
    """One request's look-ups: each object is read once, however many answer to its name."""

    def __init__(self, deps: Deps, merchant_id: str, scopes: frozenset[str] | None) -> None:
        self._deps, self._merchant_id, self._scopes = deps, merchant_id, scopes
        self._seen: dict[tuple[str, str], dict[str, Any] | None] = {}

    async def expand(self, here: Any, path: Path) -> None:
        if isinstance(here, list):
            for one in here:
                await self.expand(one, path)
            return
        if not path or not isinstance(here, dict):
            return
        member, *rest = path
        kind = EXPANDABLE.get(str(here.get("object")), {}).get(member)
        if kind is not None and not isinstance(here.get(member), dict):
            found = await self._find(kind, here, member)
            if found is not None:
                here[member] = dict(found)
        await self.expand(here.get(member), tuple(rest))

    async def _find(self, kind: str, holder: Mapping[str, Any], member: str) -> dict[str, Any] | None:
        named = holder["id"] if kind == "balance_transaction" else holder.get(member)
        if not isinstance(named, str) or not allows(self._scopes, _NEEDS[kind]):
            return None
        if (kind, named) not in self._seen:
            try:
                self._seen[kind, named] = await self._read(kind, named)
            except NotFound:
                self._seen[kind, named] = None
        return self._seen[kind, named]

    async def _read(self, kind: str, named: str) -> dict[str, Any] | None:
        """Opened at once: a customer that is still sealed is no id to go on from."""
        found = await _READ[kind](self._deps, self._merchant_id, named)
        if found is None:
            return None
        shown: dict[str, Any] = await self._deps.subjects.opened(self._merchant_id, found)
        return shown


async def _intent(deps: Deps, merchant_id: str, given: str) -> dict[str, Any]:
    payment = await get_payment(deps, merchant_id, native_id("pi", given))
    return render.payment_intent(payment_object(payment))


async def _charge(deps: Deps, merchant_id: str, given: str) -> dict[str, Any]:
    payment = await get_payment(deps, merchant_id, native_id("ch", given))
    return render.charge(payment_object(payment))


async def _customer(deps: Deps, merchant_id: str, given: str) -> dict[str, Any]:
    return render.customer(customer_object(await get_customer(deps, merchant_id, given)))


async def _method(deps: Deps, merchant_id: str, given: str) -> dict[str, Any]:
    found = await get_payment_method(deps, merchant_id, given)
    return render.payment_method(payment_method_object(found))


async def _first_movement(deps: Deps, merchant_id: str, charge: str) -> dict[str, Any] | None:
    """What the charge put into the balance: its first capture's, where there were several."""
    found = await movements_of_payment(deps, merchant_id, native_id("ch", charge))
    charged = [one for one in found if one["type"] == "charge"]
    return render.balance_transaction(charged[0]) if charged else None


_READ: Final[Mapping[str, Callable[[Deps, str, str], Awaitable[dict[str, Any] | None]]]] = {
    "payment_intent": _intent,
    "charge": _charge,
    "customer": _customer,
    "payment_method": _method,
    "balance_transaction": _first_movement,
}
