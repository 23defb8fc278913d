"""Events that were set aside: why, how long, what they look like; tried again or given up by a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.keyset import Unclear
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.api.console.session import ByOperator, PostedForm, may, operator_of
from data_pipeline.clients.event_sources import STREAMS
from data_pipeline.domain.operators import Permission
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.discard_quarantine import discard_quarantine
from data_pipeline.operations.replay_quarantine import Outcome, replay_quarantine
from data_pipeline.operations.report_quarantine import report_quarantine, show_quarantined, survey_quarantine
from data_pipeline.store.quarantine import Chosen
from platform_kit.problems import InvalidRequest

PATH: Final = "/console/quarantine"
PAGE: Final = 50
STEP: Final = 100  # events of one step of a replay: a second or two, and the bar moves
REASON_MIN, REASON_MAX = 3, 500
ID_MAX: Final = 2**53
STATES: Final = ("open", "replayed", "discarded")
FIELDS: Final = ("stream", "type", "fault", "first", "last")

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)
MAY_REPLAY: Final = [Depends(may(Permission.REPLAY))]
Word = Annotated[str, Query(max_length=128, pattern=r"^[^\x00]*$")]
RowId = Annotated[int, Path(ge=1, le=ID_MAX)]


async def _filters(
    state: Word = "", stream: Word = "", type_: Annotated[Word, Query(alias="type")] = "",
    fault: Word = "", first: Word = "", last: Word = "",
) -> dict[str, str]:  # fmt: skip
    """What was chosen, by the names of the address; what is empty is left out."""
    typed = {"state": state, "stream": stream, "type": type_, "fault": fault, "first": first, "last": last}
    return {name: text.strip() for name, text in typed.items() if text.strip()}


Typed = Annotated[dict[str, str], Depends(_filters)]


@router.get(PATH)
async def show_quarantine_page(
    request: Request,
    typed: Typed,
    by: ByOperator,
    told: Word = "",
    after: Annotated[int, Query(ge=0, le=ID_MAX)] = 0,
    deps: Deps = Depends(deps_of),
) -> Response:
    """What waits by reason, and the events themselves, oldest first."""
    chosen = _chosen(typed)
    if (state := typed.get("state", "open")) not in STATES:
        raise Unclear(f"A state is one of: {', '.join(STATES)}.")
    found = await report_quarantine(deps, chosen, state, after, PAGE)
    address = f"?{urlencode(typed)}" if typed else ""
    joint = "&" if typed else "?"
    return page(
        request,
        "quarantine.html",
        events=found["data"],
        waiting_now=await survey_quarantine(deps, chosen),
        typed=dict.fromkeys(("state", *FIELDS), "") | typed,
        is_filtered=bool(typed),
        state=state,
        streams=STREAMS,
        first=PATH + address if after else None,
        next=f"{PATH}{address}{joint}after={found['next_after']}" if found["next_after"] else None,
        may_replay=by.may(Permission.REPLAY),
        told=_told(told),
        reason_max=REASON_MAX,
    )


@router.get(PATH + "/{row_id}")
async def show_quarantined_page(
    request: Request, row_id: RowId, told: Word = "", deps: Deps = Depends(deps_of)
) -> Response:
    """One event as it was received."""
    return await _one(request, deps, row_id, told=told)


@router.post(PATH + "/{row_id}/replay", dependencies=MAY_REPLAY)
async def replay_one(
    row_id: RowId, form: PostedForm, by: ByOperator, deps: Deps = Depends(deps_of)
) -> Response:
    """Try this one again; what it came to is said on its page."""
    done = await replay_quarantine(deps, Chosen((row_id,)), by.name, form.get("reason") or None)
    return RedirectResponse(f"{PATH}/{row_id}?told={done.events[0].outcome}", 303)


@router.post(PATH + "/{row_id}/discard", dependencies=MAY_REPLAY)
async def discard_one(
    request: Request, row_id: RowId, form: PostedForm, by: ByOperator, deps: Deps = Depends(deps_of)
) -> Response:
    """Give this one up."""
    try:
        reason = _reason(form)
    except InvalidRequest as refused:
        return await _one(request, deps, row_id, refused=refused)
    given_up = await discard_quarantine(deps, Chosen((row_id,)), by.name, reason)
    return RedirectResponse(f"{PATH}/{row_id}?told={'discarded' if given_up else 'not_open'}", 303)


@router.post(PATH + "/replay", dependencies=MAY_REPLAY)
async def replay_chosen(
    request: Request, form: PostedForm, by: ByOperator, deps: Deps = Depends(deps_of)
) -> Response:
    """One step of a replay of all that fits the filter; the page that answers goes on with the next. What was set aside
    after the first step is not part of it, and each event is tried once."""
    chosen = _seen(form)
    step = await replay_quarantine(deps, chosen, by.name, form.get("reason") or None, STEP)
    outcomes = Counter(one.outcome for one in step.events)
    sums = {word: _count(form, word) + outcomes[word] for word in Outcome}
    done = sum(sums.values())
    return page(
        request,
        "quarantine_progress.html",
        fields={name: form.get(name, "") for name in ("until", "reason", *FIELDS)},
        sums=sums,
        done=done,
        of=done + step.remaining,
        remaining=step.remaining if step.events else 0,
        refused=[one for one in step.events if one.outcome is Outcome.REFUSED],
        back=_address(form),
    )


@router.post(PATH + "/discard", dependencies=MAY_REPLAY)
async def discard_chosen(form: PostedForm, by: ByOperator, deps: Deps = Depends(deps_of)) -> Response:
    """Give all up that fits the filter and that was there when the page was opened, or nothing."""
    given_up = await discard_quarantine(deps, _seen(form), by.name, _reason(form), seen=form.get("seen", ""))
    return RedirectResponse(f"{PATH}?{urlencode({'told': f'discarded-{len(given_up)}'})}", 303)


async def _one(
    request: Request, deps: Deps, row_id: int, *, told: str = "", refused: InvalidRequest | None = None
) -> Response:
    return page(
        request,
        "quarantined.html",
        status=refused.status if refused else 200,
        e=await show_quarantined(deps, row_id),
        told=_told(told),
        is_bad=told in (Outcome.REFUSED, Outcome.NOT_OPEN),
        refused=refused,
        may_replay=operator_of(request).may(Permission.REPLAY),
        reason_max=REASON_MAX,
    )


def _told(word: str) -> str | None:
    """What came of an act, in a sentence."""
    if word.startswith("discarded-") and word[10:].isdecimal():
        count = int(word[10:])
        return f"{count:,} {'event is' if count == 1 else 'events are'} given up. They stay readable, with your name."
    return {
        Outcome.APPLIED: "Applied: it has its effects now.",
        Outcome.ALREADY_APPLIED: "It had its effects already, and has none again.",
        Outcome.REFUSED: "Refused again. It stays open, with the newest reason.",
        Outcome.NOT_OPEN: "Somebody was quicker: it is not open any more.",
        "discarded": "Given up. It stays readable, with your name.",
    }.get(word)


def _chosen(typed: Mapping[str, str]) -> Chosen:
    """Raises Unclear, in words for the person who typed it."""
    stream = typed.get("stream") or None
    if stream is not None and stream not in STREAMS:
        raise Unclear(f"A stream is one of: {', '.join(STREAMS)}.")
    return Chosen(
        None,
        stream,
        _position(typed.get("first")),
        _position(typed.get("last")),
        typed.get("type") or None,
        typed.get("fault") or None,
    )


def _position(text: str | None) -> int | None:
    if not text:
        return None
    digits = text.replace(",", "")
    if not (digits.isascii() and digits.isdecimal() and 1 <= int(digits) <= ID_MAX):
        raise Unclear("A position is a whole number from 1 on.")
    return int(digits)


def _seen(form: Mapping[str, str]) -> Chosen:
    """The filter of the form, of what was there at its moment. Raises InvalidRequest: without one it is everything that
    ever comes."""
    try:
        until = datetime.fromisoformat(form.get("until", ""))
        if until.tzinfo is None:
            raise ValueError
    except ValueError:
        raise InvalidRequest("Begin again at the quarantine's page.") from None
    return replace(_chosen(form), seen_before=until)


def _count(form: Mapping[str, str], name: str) -> int:
    text = form.get(name, "0")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else 0


def _reason(form: Mapping[str, str]) -> str:
    reason = form.get("reason", "")
    if not REASON_MIN <= len(reason) <= REASON_MAX:
        raise InvalidRequest("Say why: it stands beside the events and your name.")
    return reason


def _address(form: Mapping[str, str]) -> str:
    kept: dict[str, Any] = {name: form[name] for name in FIELDS if form.get(name)}
    return f"{PATH}?{urlencode(kept)}" if kept else PATH
