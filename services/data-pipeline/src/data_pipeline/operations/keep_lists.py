"""Lists that rules ask, through the risk engine's API: look, bring on, take off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from data_pipeline.clients.service_api import ServiceRefused
from data_pipeline.domain.operators import Operator
from data_pipeline.operations.deps import Deps

LISTS: Final = "/v1/lists"
ENTRIES_SHOWN: Final = 100
HITS_SHOWN: Final = 20


async def list_lists(deps: Deps, by: Operator) -> Sequence[dict[str, Any]]:
    """All of them, by name. Raises ServiceAway, ServiceRefused."""
    found: Sequence[dict[str, Any]] = (await deps.risk.get(LISTS, by))["data"]
    return found


async def make_list(deps: Deps, by: Operator, form: Mapping[str, str]) -> None:
    """Rules may ask `list_<name>` from then on. Raises ServiceAway, ServiceRefused."""
    body = {name: form[name] for name in ("name", "type", "note") if form.get(name)}
    await deps.risk.act(LISTS, by, body)


async def show_list(
    deps: Deps, by: Operator, name: str, cursor: str
) -> tuple[dict[str, Any], dict[str, Any], Sequence[dict[str, Any]]]:
    """A list, a page of its entries, and whom it met lately. Raises ServiceAway, ServiceRefused."""
    shown = next((one for one in await list_lists(deps, by) if one["name"] == name), None)
    if shown is None:
        raise ServiceRefused("risk", 404, "There is no such list", "Its name may have been mistyped.")
    asked: dict[str, str | int] = {"limit": ENTRIES_SHOWN} | ({"cursor": cursor} if cursor else {})
    entries = await deps.risk.get(f"{LISTS}/{name}/entries", by, asked)
    hits = await deps.risk.get(f"{LISTS}/{name}/hits", by, {"limit": HITS_SHOWN})
    return shown, entries, hits["data"]


async def add_entry(deps: Deps, by: Operator, name: str, form: Mapping[str, str]) -> str:
    """What became of it: added or renewed. Raises ServiceAway, ServiceRefused, also for a value that does not fit."""
    entry = {part: form[part] for part in ("value", "reason") if form.get(part)}
    if form.get("expires_at"):
        entry["expires_at"] = f"{form['expires_at']}T00:00:00Z"
    (told,) = (await deps.risk.act(f"{LISTS}/{name}/entries", by, {"data": [entry]}))["data"]
    if told["result"] == "refused":
        raise ServiceRefused("risk", 422, "This value does not fit the list", str(told["detail"]))
    return str(told["result"])


async def remove_entry(deps: Deps, by: Operator, name: str, entry_id: int) -> None:
    """That it was on the list stays known. Raises ServiceAway, ServiceRefused."""
    await deps.risk.act(f"{LISTS}/{name}/entries/{entry_id}/remove", by)
