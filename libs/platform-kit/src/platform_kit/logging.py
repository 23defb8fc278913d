"""Structured logs to stdout: one JSON object a line, or text for a terminal.

A line is safe whatever is in it: control characters are escaped, and what looks like a card number or a
secret is masked before it is written (PCI DSS 3.5.1, 10.3; OWASP logging). Logs of libraries take the same
way.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
import structlog
from structlog.typing import FilteringBoundLogger

if TYPE_CHECKING:
    from platform_kit.settings import ServiceSettings

MASK: Final = "[masked]"
DEPTH_MAX: Final = 6  # deeper structures are cut: a log line is not an archive
TEXT_MAX: Final = 8192  # characters of one value; a traceback of 60 frames fits
ITEMS_MAX: Final = 100

# Whole names, because `pan` is also in `company` and `token` also names a card alias that operators look for.
_SECRET_NAMES: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "dsn"}
    | {"pan", "cvc", "cvv", "cvv2", "pin", "number", "card_number", "cardnumber"}
)
_SECRET_PARTS: Final = (
    "secret",
    "password",
    "passwd",
    "api_key",
    "apikey",
    "private_key",
    "access_token",
    "_token",
)
_NOT_SECRET: Final = frozenset({"card_token", "token_hint", "next_token", "page_token"})
_IDS: Final = frozenset({"trace_id", "task_id"})  # made by us, hexadecimal: some hold 13 digits in a row
_DIGITS: Final = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,}")
_CREDENTIAL: Final = re.compile(
    r"(?P<bearer>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}"
    r"|(?P<url>://[^:/?#\s@]*:)[^@/\s]+(?=@)"
    r"|(?P<key>\b(?:sk|rk|whsec)_)[A-Za-z0-9_+/=-]{8,}",
    re.IGNORECASE,
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LEVELS: Final = {"warn": "warning", "exception": "error", "fatal": "critical"}

_service = ""
_version = ""
_is_console = False
_lock = threading.Lock()


def configure_logging(settings: ServiceSettings, service: str) -> None:
    """Send this process's logs, and those of its libraries, to stdout. Call once, first."""
    global _service, _version, _is_console
    _service, _version, _is_console = service, settings.app_version, settings.log_format == "console"
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[_explain_exception, _hand_over],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_StructuredHandler()]
    root.setLevel(level)
    for chatty in ("uvicorn.access", "aiohttp.access"):  # the canonical line replaces them
        logging.getLogger(chatty).disabled = True
    for chatty in ("celery", "kombu", "asyncio", "sqlalchemy"):
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)


def get_logger(name: str | None = None) -> FilteringBoundLogger:
    """A logger; `name` is the module. Fields are keyword arguments: `log.info("lock taken", stream=name)`."""
    return cast(FilteringBoundLogger, structlog.get_logger(module=name) if name else structlog.get_logger())


def write(level: str, event: str, fields: Mapping[str, Any]) -> None:
    """One line, past structlog: the canonical line takes this way, for it is on the path of every payment."""
    at = datetime.now(UTC).isoformat(timespec="microseconds")
    line: dict[str, Any] = {"at": f"{at[:-6]}Z", "level": level, "event": event}
    line["service"], line["version"] = _service, _version
    for name, value in fields.items():
        kind = type(value)
        if kind is str:
            line[name] = value if name in _IDS else MASK if is_secret_name(name) else redact_text(value)
        elif kind is float or kind is bool or value is None or (kind is int and -1 < value < _LONG):
            line[name] = value
        else:
            line[name] = redact(value, name)
    _put((_as_text(line) if _is_console else _as_json(line)) + b"\n")


def _put(line: bytes) -> None:
    # Looked up on every call, so that a test or a supervisor that replaces stdout gets the lines.
    out = getattr(sys.stdout, "buffer", None)
    with _lock:
        if out is None:
            sys.stdout.write(line.decode())
            sys.stdout.flush()
        else:
            out.write(line)
            out.flush()


def _as_json(line: dict[str, Any]) -> bytes:
    try:
        out = orjson.dumps(line, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # half a surrogate pair, or an integer beyond 64 bits
        out = json.dumps(line, default=str, ensure_ascii=False).encode("utf-8", "replace")
    # JSON escapes C0 controls only; U+0085, U+2028 and the 8-bit escape sequences (U+009B) act on terminals
    # too.
    return out if out.isascii() else _CONTROL.sub(_escape_json, out.decode()).encode()


def _as_text(line: dict[str, Any]) -> bytes:
    """`04:12:01 info  payment-gateway  request  route=/v1/payments status=201`: one line, whatever it
    holds.
    """
    head = f"{line.pop('at')[11:19]} {line.pop('level'):<8}{line.pop('service')}  {line.pop('event')} "
    trace = line.pop("exception", None)
    line.pop("version", None)
    text = _CONTROL.sub(_escape, head + " ".join(f"{name}={value}" for name, value in line.items()))
    if trace:  # the one thing that a person wants on many lines; each is escaped for itself
        text += "".join(f"\n    {_CONTROL.sub(_escape, row)}" for row in str(trace).splitlines())
    return text.encode("utf-8", "backslashreplace")


def _escape_json(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def _plain(value: Any) -> str:
    return redact_text(str(value))


def redact(value: Any, name: str = "", depth: int = 0) -> Any:
    """`value` as it may be logged: secrets by name, card numbers and credentials by form, sizes bounded."""
    if name and is_secret_name(name) and value is not None:
        return MASK
    if isinstance(value, str):
        return value if name in _IDS else redact_text(value)
    if isinstance(value, bool | float) or value is None:
        return value
    if isinstance(value, int):
        return (
            MASK
            if _LONG <= value < 10**19 and not name.endswith(_COUNTED) and is_card_number(str(value))
            else value
        )
    if isinstance(value, bytes | bytearray):
        return redact_text(bytes(value[:TEXT_MAX]).decode("utf-8", "backslashreplace"))
    if depth >= DEPTH_MAX:
        return "[deeper]"
    if isinstance(value, Mapping):
        items = list(value.items())[:ITEMS_MAX]
        return {redact_text(str(key)): redact(inner, str(key), depth + 1) for key, inner in items}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(inner, "", depth + 1) for inner in list(value)[:ITEMS_MAX]]
    return value if isinstance(value, datetime) else redact_text(str(value))


_LONG: Final = 10**12  # the least number of 13 digits
_COUNTED: Final = (
    "_minor",
    "_ns",
    "_us",
    "_ms",
    "position",
    "_count",
)  # long integers that are no card numbers


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Whether a field of this name is never shown."""
    lowered = name.lower()
    if lowered in _SECRET_NAMES:
        return True
    return lowered not in _NOT_SECRET and any(part in lowered for part in _SECRET_PARTS)


def redact_text(text: str) -> str:
    """`text` with card numbers and credentials masked, and cut to a length that a log can take."""
    if len(text) < 13:  # the shortest card number; credentials are longer still
        return text
    if len(text) > TEXT_MAX:
        text = f"{text[:TEXT_MAX]}…"
    if _DIGITS.search(text):
        text = _DIGITS.sub(_mask_card, text)
    # Cheap tests first: a line of the money path has a dozen ids, and none of them gets as far as this
    # pattern.
    if " " in text or "@" in text or "sk_" in text or "rk_" in text or "whsec_" in text:
        text = _CREDENTIAL.sub(_mask_credential, text)
    return text


def _mask_card(match: re.Match[str]) -> str:
    """Mask the whole run when some of its groups together are a card number: an expiry date may follow it."""
    groups = re.split("[ -]", match[0])
    for start in range(len(groups)):
        digits = ""
        for group in groups[start:]:
            digits += group
            if is_card_number(digits) or (len(group) > 19 and _holds_card_number(group)):
                return MASK
            if len(digits) > 19:
                break
    return match[0]


def _holds_card_number(digits: str) -> bool:
    """Whether 16 digits in a longer run are a card number with something glued to it."""
    return any(is_card_number(digits[start : start + 16]) for start in range(len(digits) - 15))


def _mask_credential(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group is not None) + MASK


_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def is_card_number(digits: str) -> bool:
    """13 to 19 digits whose Luhn check digit is right (ISO/IEC 7812-1)."""
    if not 13 <= len(digits) <= 19:
        return False
    total = sum(int(digit) for digit in digits[-1::-2]) + sum(
        _DOUBLED[int(digit)] for digit in digits[-2::-2]
    )
    return total % 10 == 0


def _explain_exception(
    _logger: Any, method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """`exc_info` as text: the type, the message and the frames, never the local variables."""
    if method == "exception" and "exc_info" not in fields:
        fields["exc_info"] = True
    if fields.get("exc_info"):
        return structlog.processors.format_exc_info(_logger, method, fields)
    fields.pop("exc_info", None)
    return fields


def _hand_over(_logger: Any, method: str, fields: MutableMapping[str, Any]) -> str:
    """The last processor: add the ids of the request or task that this line belongs to, and write."""
    from platform_kit import canonical  # at call time: canonical imports this module

    event = str(fields.pop("event", ""))
    write(_LEVELS.get(method, method), redact_text(event), {**canonical.ids(), **fields})
    return ""


class _StructuredHandler(logging.Handler):
    """Lines of libraries that use the standard library's logging."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields: dict[str, Any] = {"module": record.name}
            if record.exc_info and record.exc_info[0] is not None:
                fields["exc_info"] = record.exc_info
            _hand_over(
                None,
                record.levelname.lower(),
                _explain_exception(None, "", {"event": record.getMessage(), **fields}),
            )
        except Exception:
            self.handleError(record)
