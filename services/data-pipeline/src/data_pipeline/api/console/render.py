"""Templates, filters and headers of the console."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import orjson
from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from data_pipeline.api.console.bucket_chart import label_of
from data_pipeline.api.console.chart import spark_lines
from data_pipeline.api.console.period import period_of
from data_pipeline.api.console.rail import RAIL, entry_at
from data_pipeline.api.console.session import session_id_of
from data_pipeline.domain.balances import OWN_LEDGER
from data_pipeline.domain.operators import form_token
from data_pipeline.operations.count_waiting import COUNTED_MAX
from data_pipeline.operations.enter_console import Visit
from platform_kit.money import format_minor

HERE: Final = Path(__file__).parent
STATIC_FILES: Final = StaticFiles(directory=HERE / "static")

# Nothing inline, nothing from elsewhere: a text that slips through as markup can neither run nor load anything.
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

# Status -> (tone, icon): four tones with an icon and the word, so that colour is never the only sign.
TONES: Final = {
    "captured": ("good", "check"),
    "partially_captured": ("good", "check"),
    "authorised": ("good", "check"),
    "succeeded": ("good", "check"),
    "balanced": ("good", "check"),
    "allow": ("good", "check"),
    "processing": ("attention", "dots"),
    "requires_action": ("attention", "dots"),
    "requires_confirmation": ("attention", "dots"),
    "requires_payment_method": ("attention", "dots"),
    "confirmed": ("attention", "dots"),
    "updated": ("quiet", "dots"),
    "pending": ("attention", "dots"),
    "challenge": ("attention", "dots"),
    "review": ("attention", "eye"),
    "timing": ("attention", "dots"),
    "declined": ("bad", "cross"),
    "failed": ("bad", "cross"),
    "block": ("bad", "stop"),
    "broken": ("bad", "cross"),
    "refused": ("bad", "stop"),
    "unknown": ("unknown", "question"),
    "cancelled": ("quiet", "minus"),
    "voided": ("quiet", "minus"),
    "expired": ("quiet", "minus"),
    "none": ("quiet", "minus"),
    # Cases, rule sets, alerts and webhooks
    "open": ("quiet", "dots"),
    "in_progress": ("attention", "eye"),
    "closed": ("quiet", "check"),
    "urgent": ("bad", "stop"),
    "high": ("attention", "dots"),
    "medium": ("quiet", "minus"),
    "low": ("quiet", "minus"),
    "approve": ("good", "check"),
    "reject": ("bad", "stop"),
    "second_person": ("attention", "eye"),
    "due": ("attention", "dots"),
    "delivered": ("good", "check"),
    "dead": ("bad", "cross"),
    "disabled": ("bad", "stop"),
    "checked": ("quiet", "dots"),
    "backtested": ("quiet", "check"),
    "approved": ("good", "check"),
    "on_trial": ("attention", "eye"),
    "live": ("good", "check"),
    "retired": ("quiet", "minus"),
    "firing": ("bad", "stop"),
    "acknowledged": ("attention", "eye"),
    "resolved": ("good", "check"),
    "critical": ("bad", "stop"),
    "warning": ("attention", "dots"),
    "info": ("quiet", "minus"),
    "given_up": ("bad", "cross"),
    # Jobs, breaks, payouts, quarantine, exports, replays
    "done": ("good", "check"),
    "running": ("attention", "dots"),
    "late": ("bad", "stop"),
    "requested": ("attention", "dots"),
    "building": ("attention", "dots"),
    "swapped": ("good", "check"),
    "differs": ("bad", "cross"),
    "proposed": ("attention", "eye"),
    "booking": ("attention", "dots"),
    "claimed": ("attention", "dots"),
    "expected": ("quiet", "dots"),
    "received": ("good", "check"),
    "replayed": ("good", "check"),
    "discarded": ("quiet", "minus"),
    "payout_not_received": ("attention", "dots"),
    # Settlements and payouts
    "generated": ("attention", "dots"),
    "paid": ("good", "check"),
    "reconciled": ("good", "check"),
    "in_transit": ("attention", "dots"),
    "returned": ("bad", "cross"),
}
WORDS: Final = {
    "allow": "allowed",
    "challenge": "challenged",
    "block": "blocked",
    "none": "not assessed",
    "broken": "has breaks",
    "refused": "file refused",
    "approve": "approved",
    "reject": "rejected",
    "dead": "given up",
    "generated": "statement made",
}


def money(amount_minor: int, currency: str) -> str:
    """`12,345.60 EUR`, decimals by ISO exponent."""
    return f"{format_minor(amount_minor, currency)} {currency}"


def words(name: str) -> str:
    """`partially_captured` -> `partially captured`."""
    return WORDS.get(name) or name.replace("_", " ")


def tone(name: str) -> str:
    return TONES.get(name, ("bad", "cross"))[0]


def icon_of(name: str) -> str:
    return TONES.get(name, ("bad", "cross"))[1]


def percent(share: float | None) -> str:
    """One decimal; a dash for a share of nothing."""
    return "–" if share is None else f"{share * 100:.1f} %"


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:,}"


def movement(kind: str) -> str:
    """What a transfer does, for a reader who knows holds and not our words for them."""
    return {"pending": "held", "post": "captured from hold"}.get(
        kind, "hold ended" if kind in _ENDS else kind
    )


_ENDS: Final = frozenset({"release", "void"})


def account(name: str, names: Mapping[str, str] | None = None) -> str:
    """`merchant:mer_01…z9:available` -> `Corner Shop available` with a name of its owner, else `merchant …z9
    available`: the id cut to what tells it apart."""
    parts = name.split(":")
    if names and len(parts) > 2 and parts[0] == "merchant" and parts[1] in names:
        return " ".join((names[parts[1]], *parts[2:]))
    return " ".join(f"…{part[-6:]}" if len(part) > 20 else part for part in parts)


def account_path(name: str, currency: str) -> str:
    """Where an account's page is."""
    return f"/console/ledger/accounts/{quote(f'{name}:{currency}', safe=':')}"


def account_class(name: str) -> str:
    """`merchant:available` -> `Merchants: available`."""
    if name == OWN_LEDGER:
        return "Merchants' own ledgers"
    owner, _, kind = name.partition(":")
    return f"{OWNERS.get(owner, owner)}: {kind.replace('_', ' ')}"


OWNERS: Final = {"merchant": "Merchants", "channel": "Channels", "platform": "Platform"}


def counted(value: int, singular: str, plural: str | None = None) -> str:
    """`1 line`, `2 lines`, `2 currencies`."""
    return f"{value:,} {singular if value == 1 else plural or singular + 's'}"


def capped(value: int) -> str:
    """`50+` for more than is counted."""
    return f"{COUNTED_MAX}+" if value > COUNTED_MAX else str(value)


def ago(at: datetime | None, now: datetime) -> str:
    """`12 s ago`, `3 min ago`, `5 h ago`, `2 d ago`."""
    return "never" if at is None else f"{span(now - at)} ago"


def span(taken: timedelta) -> str:
    """The largest fitting unit, rounded down."""
    seconds = max(0, int(taken.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def milliseconds(taken: timedelta) -> str:
    """`84 ms` or `2.31 s`."""
    value = taken / timedelta(milliseconds=1)
    return f"{value:,.0f} ms" if value < 1000 else f"{value / 1000:,.2f} s"


def took(value_ms: float) -> str:
    """The same of whole milliseconds."""
    return milliseconds(timedelta(milliseconds=value_ms))


def clock(at: datetime) -> str:
    """Time of day in UTC, with milliseconds."""
    return at.strftime("%H:%M:%S.") + f"{at.microsecond // 1000:03d}"


def stamp(at: datetime) -> str:
    """Day and time to the second, in UTC."""
    return at.strftime("%Y-%m-%d %H:%M:%S")


def minute(at: datetime) -> str:
    """As a filter has it in the address."""
    return at.strftime("%Y-%m-%dT%H:%M")


def absolute(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def pretty_json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode()


NOUNS: Final = frozenset({"payment", "assessment", "break", "charge", "refund"})


def measure_name(name: str) -> str:
    """`captured_minor` -> `Captured`, `payment_count` -> `Payments`, `captured_count` -> `No. captured`."""
    stem = name.removesuffix("_minor").removesuffix("_count").removesuffix("_ms").replace("_", " ")
    if name.endswith("_count"):
        stem = f"{stem}s" if stem in NOUNS else f"no. {stem}"
    return stem[:1].upper() + stem[1:]


def formula(text: str) -> str:
    """`a_count / (b_count + c_count)` in the names that the table's head has."""
    return re.sub(r"[a-z_]+", lambda found: measure_name(found[0]).lower(), text)


def pretty_text(text: str) -> str:
    """Text as received: indented when it is JSON, else as it is."""
    try:
        return pretty_json(orjson.loads(text))
    except orjson.JSONDecodeError:
        return text


_templates = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters.update(
    moment=datetime.fromisoformat,  # of another service's JSON
    money=money,
    amount=format_minor,  # under a heading that names the currency
    words=words,
    tone=tone,
    icon_of=icon_of,
    percent=percent,
    number=number,
    counted=counted,
    capped=capped,
    account=account,
    account_class=account_class,
    account_path=account_path,
    stamp=stamp,
    minute=minute,
    movement=movement,
    span=span,
    milliseconds=milliseconds,
    took=took,
    clock=clock,
    absolute=absolute,
    pretty_json=pretty_json,
    pretty_text=pretty_text,
    measure_name=measure_name,
    formula=formula,
    bucket=label_of,
)
_templates.globals["ago"] = ago
_templates.globals["spark_lines"] = spark_lines


def page(request: Request, template: str, *, status: int = 200, **context: Any) -> Response:
    """A whole page: the frame as the visitor sees it, and the content. `now` and the streams' freshness are the
    visit's; a page for nobody (log-in, no database) has a frame without them."""
    deps = request.app.state.deps
    visit: Visit | None = getattr(request.state, "visit", None)
    streams = visit.streams if visit else {}
    path, now = request.url.path, visit.now if visit else deps.clock.now()
    # What answers a form has no address of its own: another range leads to the page of the rail that it belongs to.
    entry, asked = entry_at(path), request.query_params
    html = _templates.get_template(template).render(
        {
            "environment": deps.settings.environment,
            "version": deps.settings.app_version,
            "path": path,
            "rail": RAIL,
            "period": period_of(
                entry, path if request.method == "GET" else entry.path, asked, asked.multi_items(), now
            ),
            "operator": visit.operator if visit else None,
            "waiting": visit.waiting if visit else {},
            "form_token": form_token(session_id_of(request)),
            "now": now,
            "payments_stream": streams.get("payments"),
            "risk_stream": streams.get("risk"),
        }
        | context
    )
    return HTMLResponse(html, status, SECURITY_HEADERS)
