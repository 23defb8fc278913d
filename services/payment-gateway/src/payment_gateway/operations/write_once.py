"""Writes that ask no channel: rows and the answer of the client's key, in one commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from payment_gateway.operations.answer_request import Answer, claim, find_stored
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.problems import stored_problem
from payment_gateway.store.commit import Commit, Effects, Locked, RowKind
from platform_kit.idempotency import Claim, StoredResponse
from platform_kit.problems import Problem

Decide = Callable[[Locked], tuple[tuple[tuple[RowKind, Any], ...], Mapping[str, Any]]]
"""The rows to write and the object to answer; raises a Problem, and then nothing is written."""


async def write_once(
    deps: Deps,
    wanted: Claim,
    decide: Decide,
    *,
    also: tuple[tuple[RowKind, str], ...] = (),
    status: int = 201,
) -> Answer:
    """The answer of the key, a refusal included: the repetition of either is the same.

    Raises KeyReused, KeyInProgress, NotCommitted, CommitUnknown.
    """
    if stored := await find_stored(deps, wanted):
        return stored

    def decided(locked: Locked) -> Effects:
        try:
            rows, shown = decide(locked)
        except Problem as problem:
            return Effects(response=stored_problem(problem))
        return Effects(rows=rows, response=StoredResponse(status, orjson.dumps(shown)))

    done = await claim(deps, Commit(decided, also=also, claim=wanted))
    if isinstance(done, Answer):
        return done
    assert done.response is not None
    return Answer(done.response.status, done.response.body)


async def write(deps: Deps, decide: Decide, *, also: tuple[tuple[RowKind, str], ...]) -> Mapping[str, Any]:
    """The object after a change that may be repeated at will and needs no key. Raises what `decide` raises."""
    refused: list[Problem] = []
    answered: list[Mapping[str, Any]] = []

    def decided(locked: Locked) -> Effects:
        refused.clear()
        answered.clear()
        try:
            rows, shown = decide(locked)
        except Problem as problem:
            refused.append(problem)
            return Effects()
        answered.append(shown)
        return Effects(rows=rows)

    await deps.committer.submit(Commit(decided, also=also))
    if refused:
        raise refused[0]
    return answered[0]
