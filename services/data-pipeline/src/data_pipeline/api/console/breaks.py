"""Breaks: which ones, one with its sides and its history, and what a person does about it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.break_words import DONE, compared, consequences
from data_pipeline.api.console.keyset import Unclear, key_of, read_key
from data_pipeline.api.console.render import SECURITY_HEADERS, page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.api.console.session import ByOperator, PostedForm, operator_of
from data_pipeline.api.console.table_csv import amount, as_download
from data_pipeline.domain import ageing
from data_pipeline.domain.break_filter import NOBODY, BreakFilter, Which
from data_pipeline.domain.closing import BY_PEOPLE, Act, State
from data_pipeline.domain.operators import Permission
from data_pipeline.domain.reconciliation import BreakClass
from data_pipeline.operations.close_break import CloseBreak, close_break, possible_acts
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.manage_operators import list_operators
from data_pipeline.operations.show_break import bundle_evidence, list_breaks, show_break, was_reconciled
from data_pipeline.operations.show_sides import show_bank_side
from platform_kit.money import CURRENCIES
from platform_kit.problems import InvalidRequest, NotFound, Problem

PATH: Final = "/console/reconciliation/breaks"
PAGE: Final = 50
NOTE_MIN, NOTE_MAX = 3, 500
BreakId = Annotated[str, Path(pattern=r"^brk_[a-z2-7]{26}$")]
Word = Annotated[str, Query(max_length=64, pattern=r"^[^\x00]*$")]
COLUMNS: Final = (
    "id", "day", "channel", "break_class", "settled_type", "state", "owner", "opened_at", "days_open", "payment_id",
    "channel_reference", "ledger_amount", "ledger_currency", "file_amount", "file_currency", "bank_amount",
    "difference", "difference_currency",
)  # fmt: skip
TOLD: Final = {
    "assign": "It is theirs from now on.",
    "note": "Written down.",
    "accept": "Closed as it is; nothing was booked.",
    "write_off": "Closed; the difference is booked and borne by the platform.",
    "claim": "Claimed: it stays open until its counterpart arrives.",
    "correct": "Closed; the ledger has the correcting entry.",
    "proposed": "Proposed: a second person approves or rejects it.",
    "reopened": "The sides say something else by now: what is left of the difference is open.",
    "approve": "Approved and closed.",
    "reject": "Rejected: it is open again.",
}

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


async def _filters(
    which: Word = "",
    day: Word = "",
    channel: Word = "",
    class_: Annotated[Word, Query(alias="class")] = "",
    state: Word = "",
    owner: Word = "",
    currency: Word = "",
    age: Word = "",
) -> dict[str, str]:
    """What was chosen, by the names of the address; what is empty is left out."""
    typed = {"which": which, "day": day, "channel": channel, "class": class_, "state": state}
    typed |= {"owner": owner, "currency": currency.upper(), "age": age}
    return {name: text.strip() for name, text in typed.items() if text.strip()}


Typed = Annotated[dict[str, str], Depends(_filters)]


@router.get(PATH)
async def show_breaks_page(
    request: Request, typed: Typed, by: ByOperator, after: Word = "", deps: Deps = Depends(deps_of)
) -> Response:
    """A page of fifty, the oldest first: that is the order of work."""
    found = await _find(deps, typed, after)
    shown, more = found[:PAGE], len(found) > PAGE
    address = f"?{urlencode(typed)}" if typed else ""
    joint = "&" if typed else "?"
    last = shown[-1] if more else None
    return page(
        request,
        "breaks.html",
        breaks=shown,
        is_reconciled=bool(shown) or await was_reconciled(deps),
        typed=dict.fromkeys(("which", "day", "channel", "class", "state", "owner", "currency", "age"), "")
        | typed,
        is_filtered=bool(typed),
        channels=deps.settings.channels,
        classes=list(BreakClass),
        states=list(State),
        bands=ageing.NAMES,
        nobody=NOBODY,
        operators=await _operators(deps),
        me=by.name,
        first=PATH + address if after else None,
        next=f"{PATH}{address}{joint}after={key_of(last['opened_at'], last['id'])}" if last else None,
        csv=f"{PATH}.csv?{urlencode(typed | ({'after': after} if after else {}))}",
    )


@router.get(f"{PATH}.csv")
async def download_breaks(typed: Typed, after: Word = "", deps: Deps = Depends(deps_of)) -> Response:
    """What the page with this address shows; amounts as decimals of their currency."""
    return as_download("breaks", COLUMNS, [_row(one) for one in (await _find(deps, typed, after))[:PAGE]])


@router.get(PATH + "/{break_id}")
async def show_break_page(
    request: Request, break_id: BreakId, told: Word = "", deps: Deps = Depends(deps_of)
) -> Response:
    """What does each side say, and what was done about it?"""
    return await _one(request, deps, break_id, told=told)


@router.get(PATH + "/{break_id}/evidence.json")
async def download_evidence(break_id: BreakId, deps: Deps = Depends(deps_of)) -> Response:
    """All that is known of it as one file, with the hash of its content."""
    raw = orjson.dumps(
        await bundle_evidence(deps, break_id),
        option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
    )
    headers = SECURITY_HEADERS | {"Content-Disposition": f'attachment; filename="{break_id}.json"'}
    return Response(raw, media_type="application/json", headers=headers)


@router.post(PATH + "/{break_id}/acts")
async def act_on_break(
    request: Request, break_id: BreakId, form: PostedForm, by: ByOperator, deps: Deps = Depends(deps_of)
) -> Response:
    """The API's own operation in the operator's name: rights, four eyes and booking are judged there."""
    try:
        command = await _read(deps, break_id, form, by.name)
        found = await close_break(deps, command)
    except NotFound:
        raise
    except Problem as refused:
        return await _one(request, deps, break_id, refused=refused, draft=form)
    return RedirectResponse(f"{PATH}/{break_id}?told={_outcome(command.act, found)}", 303)


def _outcome(act: Act, found: Mapping[str, Any]) -> str:
    if found["state"] == State.PROPOSED and act not in (Act.NOTE, Act.ASSIGN):
        return "proposed"
    if act not in (Act.NOTE, Act.ASSIGN, Act.REJECT) and found["state"] == State.OPEN:
        return "reopened"
    return act


async def _read(deps: Deps, break_id: str, form: Mapping[str, str], actor: str) -> CloseBreak:
    """Raises InvalidRequest, in words for the form."""
    if (word := form.get("act", "")) not in BY_PEOPLE:
        raise InvalidRequest("Choose what is to be done.")
    act, note, owner = Act(word), form.get("note", ""), form.get("owner") or None
    if act is Act.ASSIGN:
        if owner not in await _operators(deps):
            raise InvalidRequest("Choose an operator who may log in.")
        note = note or ("taken" if owner == actor else f"given to {owner}")
    elif not NOTE_MIN <= len(note) <= NOTE_MAX:
        raise InvalidRequest("Say why: it stands in the history beside your name.")
    return CloseBreak(break_id, act, actor, note[:NOTE_MAX], owner if act is Act.ASSIGN else None)


async def _one(
    request: Request,
    deps: Deps,
    break_id: str,
    *,
    told: str = "",
    refused: Problem | None = None,
    draft: Mapping[str, str] | None = None,
) -> Response:
    by = operator_of(request)
    found = await show_break(deps, break_id)
    bank = await show_bank_side(deps, found)
    acts = await possible_acts(deps, break_id, by.name) if by.may(Permission.CLOSE_BREAKS) else ()
    return page(
        request,
        "break.html",
        status=refused.status if refused else 200,
        b=found,
        bank=bank,
        rows=compared(found, bank),
        done=DONE,
        acts=[(act, consequences(found, act)) for act in acts],
        operators=await _operators(deps),
        told=TOLD.get(told),
        refused=refused,
        draft=draft or {},
        note_max=NOTE_MAX,
    )


async def _operators(deps: Deps) -> list[str]:
    return [row["name"] for row in await list_operators(deps) if row["disabled_at"] is None]


async def _find(deps: Deps, typed: Mapping[str, str], after: str) -> list[dict[str, Any]]:
    return await list_breaks(deps, _understood(typed), read_key(after, r"brk_[a-z2-7]{26}"), PAGE + 1)


def _understood(typed: Mapping[str, str]) -> BreakFilter:
    """Raises Unclear, in words for the person who typed it."""
    if (currency := typed.get("currency")) is not None and currency not in CURRENCIES:
        raise Unclear("A currency is an ISO 4217 code, like EUR.")
    if (band := typed.get("age")) is not None and band not in ageing.NAMES:
        raise Unclear(f"An age is one of: {', '.join(ageing.NAMES)}.")
    return BreakFilter(
        which=Which(_one_of(typed.get("which"), Which) or Which.OPEN),
        day=_day(typed.get("day")),
        channel=typed.get("channel"),
        break_class=_one_of(typed.get("class"), BreakClass),
        state=_one_of(typed.get("state"), State),
        owner=typed.get("owner"),
        currency=currency,
        age_band=band,
    )


def _one_of(text: str | None, words: Any) -> str | None:
    if text is not None and text not in set(words):
        raise Unclear(f"It is one of: {', '.join(words)}.")
    return text


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone: channels settle by UTC day
    except ValueError:
        raise Unclear("A day is written like 2026-11-23.") from None


def _row(one: Mapping[str, Any]) -> dict[str, Any]:
    differences = one["difference_minor"].items()
    currency, minor = (
        next(iter(differences)) if len(differences) == 1 else (None, None)
    )  # two: the sides tell
    return dict(one) | {
        "opened_at": one["opened_at"].isoformat(),
        "ledger_amount": amount(one["ledger_amount_minor"], one["ledger_currency"]),
        "file_amount": amount(one["file_amount_minor"], one["file_currency"]),
        "bank_amount": amount(one["bank_amount_minor"], one["file_currency"]),
        "difference": amount(minor, currency),
        "difference_currency": currency,
    }
