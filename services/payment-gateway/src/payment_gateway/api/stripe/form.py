"""Stripe's wire form of requests: form-encoded and nested (`metadata[a]=b`, `expand[0]=charge`), every value a text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from payment_gateway.api.card_data import holds_card_number
from payment_gateway.api.stripe.errors import InvalidParameter

PARAMETERS_MAX: Final = 500
DEPTH_MAX: Final = 5
_NAME = re.compile(r"^([A-Za-z0-9_]+)((?:\[[A-Za-z0-9_ .-]*\])*)$")
_PART = re.compile(r"\[([^\]]*)\]")

Form = dict[str, Any]
"""Texts, nested objects and (members that are numbered or empty) lists of them."""


async def read_form(request: Request) -> Form:
    """The parameters of a request: of the body of a POST, else of the query. Raises InvalidParameter."""
    raw = await request.body() if request.method == "POST" else request.scope["query_string"]
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, max_num_fields=PARAMETERS_MAX, errors="strict"
        )
    except ValueError:
        raise InvalidParameter("The request is not one valid form.", None) from None
    return parse_pairs(pairs)


def parse_pairs(pairs: Iterable[tuple[str, str]]) -> Form:
    """Nested objects of flat names. Raises InvalidParameter for a name that is none, or one given twice."""
    form: Form = {}
    for name, value in pairs:
        matched = _NAME.match(name)
        path = [matched.group(1), *_PART.findall(matched.group(2))] if matched else []
        if not path or len(path) > DEPTH_MAX:
            raise InvalidParameter("A parameter's name is not understood.", None)
        if "\x00" in value:
            raise InvalidParameter("A text holds a character that is not accepted.", name)
        _put(form, path, value, name)
    return {name: _listed(value) for name, value in form.items()}


def _put(form: Form, path: list[str], value: str, name: str) -> None:
    here = form
    for part in path[:-1]:
        here = here.setdefault(part, {})
        if not isinstance(here, dict):
            raise InvalidParameter("A parameter is a text and an object at once.", name)
    last = path[-1] or str(len(here))
    if last in here:
        raise InvalidParameter("A parameter was given twice.", name)
    here[last] = value


def _listed(value: Any) -> Any:
    """Objects whose members are numbered are lists."""
    if not isinstance(value, dict):
        return value
    members = {name: _listed(member) for name, member in value.items()}
    if members and all(name.isascii() and name.isdigit() for name in members):
        return [members[name] for name in sorted(members, key=int)]
    return members


class Parameters:
    """The parameters of one request, taken one by one: what is left at the end is unknown and refused."""

    def __init__(self, form: Form, prefix: str = "") -> None:
        self._left = dict(form)
        self._prefix = prefix
        self._known: set[str] = set()
        self._left.pop("expand", None)  # we render whole objects wherever we have them

    def __contains__(self, name: str) -> bool:
        self._known.add(name)
        return name in self._left

    def _take(self, name: str, default: Any = None) -> Any:
        """The value as it came; by what is taken, a typo in a name is told from a name of another endpoint."""
        self._known.add(name)
        return self._left.pop(name, default)

    def path(self, name: str) -> str:
        return f"{self._prefix}[{name}]" if self._prefix else name

    def peek(self, name: str) -> Any:
        """The value as it came, left where it is."""
        self._known.add(name)
        return self._left.get(name)

    def text(self, name: str, *, length_max: int = 500) -> str | None:
        """A text; None when it is absent or unset (empty)."""
        value = self._take(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str) or len(value) > length_max or not value.isprintable():
            raise InvalidParameter(
                f"Invalid {self.path(name)}: a text of at most {length_max} printable characters.",
                self.path(name),
            )
        if holds_card_number(value):
            raise InvalidParameter("Card numbers are not accepted here.", self.path(name))
        return value

    def required(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise InvalidParameter(
                f"Missing required param: {self.path(name)}.", self.path(name), "parameter_missing"
            )
        return value

    def integer(self, name: str, *, least: int = 0, most: int = 99_999_999_999) -> int | None:
        value = self.text(name, length_max=19)
        if value is None:
            return None
        if not re.fullmatch(r"-?[0-9]+", value):
            raise InvalidParameter(
                f"Invalid integer: {self.path(name)}. A whole number is needed; amounts are in minor units"
                " (1250 for 12.50 EUR).",
                self.path(name),
                "parameter_invalid_integer",
            )
        number = int(value)
        if not least <= number <= most:
            small = number < least
            raise InvalidParameter(
                f"{self.path(name)} must be between {least} and {most}.",
                self.path(name),
                "amount_too_small" if small and "amount" in name else "parameter_invalid_integer",
            )
        return number

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.text(name)
        if value is None:
            return default
        if value not in ("true", "false"):
            raise InvalidParameter(f"Invalid boolean: {self.path(name)} is true or false.", self.path(name))
        return value == "true"

    def choice(self, name: str, *values: str) -> str | None:
        value = self.text(name)
        if value is not None and value not in values:
            raise InvalidParameter(
                f"Invalid {self.path(name)}: must be one of {', '.join(values)}.", self.path(name)
            )
        return value

    def nested(self, name: str) -> Parameters | None:
        value = self._take(name)
        if value is None or value == "":
            return None
        if not isinstance(value, dict):
            raise InvalidParameter(f"Invalid object: {self.path(name)}.", self.path(name))
        return Parameters(value, self.path(name))

    def texts(self, name: str) -> list[str]:
        value = self._take(name, [])
        listed = value if isinstance(value, list) else [value] if value else []
        if not all(isinstance(one, str) for one in listed):
            raise InvalidParameter(f"Invalid array: {self.path(name)}.", self.path(name))
        return listed

    def metadata(self, before: dict[str, str] | None = None) -> dict[str, str] | None:
        """Metadata merged into what was there: an empty text unsets a key. None when nothing was said."""
        if "metadata" not in self:
            return None
        given = self._take("metadata")
        if given == "":
            return {}
        if not isinstance(given, dict) or len(given) > 50:
            raise InvalidParameter("Invalid metadata.", "metadata")
        merged = dict(before or {})
        for key, value in given.items():
            if not isinstance(value, str) or len(key) > 40 or len(value) > 500 or not value.isprintable():
                raise InvalidParameter("Metadata are texts of at most 500 characters.", "metadata")
            if holds_card_number(value) or holds_card_number(key):
                raise InvalidParameter("Card numbers are not accepted here.", "metadata")
            if value == "":
                merged.pop(key, None)
            else:
                merged[key] = value
        return merged

    def ignore(self, *names: str) -> None:
        """Parameters that we accept and that change nothing here."""
        for name in names:
            self._take(name)

    def done(self) -> None:
        """Raises InvalidParameter for what nobody asked for."""
        for name in self._left:
            near = "".join(f". Did you mean {one}?" for one in get_close_matches(name, self._known, 1))
            raise InvalidParameter(
                f"Received unknown parameter: {self.path(name)}{near}", self.path(name), "parameter_unknown"
            )
