"""What schemathesis loads into its own process: one check of ours, and a guard for the key that it calls with."""

from __future__ import annotations

import json
import os
from typing import Any, Final

import schemathesis

KEPT_IDS: Final = frozenset(filter(None, os.environ.get("FUZZ_KEPT_IDS", "").split(",")))
HEADERS: Final[dict[str, str]] = json.loads(os.environ.get("FUZZ_HEADERS", "{}"))
SHAPE: Final = frozenset(
    {
        "duplicate-key",
        "idempotency-key-invalid",
        "idempotency-key-missing",
        "invalid-amount",
        "invalid-request",
        "malformed-json",
        "missing-field",
        "null-not-allowed",
        "unknown-field",
        "unsupported-currency",
        "unsupported-media-type",
    }
)
"""Slugs that say: this is not of the shape that was asked for."""
# A payment that has a method may be confirmed without one, others not.
BEYOND_SCHEMA: Final = frozenset({("payments_confirm", "missing-field")})
"""(operation id, slug): what the document cannot say of this operation."""


@schemathesis.check
def documented_shape_is_accepted(ctx: Any, response: Any, case: Any) -> None:
    """A request that the document allows may be refused for what it means, never for its shape: 422 serves both, so
    `positive_data_acceptance` must let it pass, and the slug tells them apart."""
    mode = case.meta.generation.mode if case.meta else None
    if (
        mode is None
        or not mode.is_positive
        or response.status_code not in (400, 422)
        or _has_float(case.body)
    ):
        return
    problem = response.json()
    if all(error.get("pointer", "").startswith("/path/") for error in problem.get("errors", [{}])):
        return  # a link that schemathesis inferred brought what is no id of ours
    slug = str(problem.get("type", "")).removeprefix("/problems/")
    if (case.operation.definition.raw.get("operationId"), slug) in BEYOND_SCHEMA:
        return
    if slug == "malformed-json" and _holds_nul(case.body):
        return  # free-form members may hold U+0000, as far as their schema goes; Postgres cannot store it
    assert slug not in SHAPE, f"the document allows this request, and the service calls it {slug}"


def _has_float(value: Any) -> bool:
    """12.0 is an integer to JSON schema; we take amounts only as they are written everywhere else."""
    if isinstance(value, dict):
        return any(map(_has_float, value.values()))
    return any(map(_has_float, value)) if isinstance(value, list) else isinstance(value, float)


def _holds_nul(body: Any) -> bool:
    return "\\u0000" in json.dumps(body, default=str)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Whoever ends the key that it calls with, or disables its merchant, learns nothing afterwards but 401 or 403."""
    if case.path_parameters and KEPT_IDS & set(map(str, case.path_parameters.values())):
        case.path_parameters = dict.fromkeys(case.path_parameters, "none")
    for name, value in HEADERS.items():
        case.headers.setdefault(name, value)
