"""A second ledger, in memory: what TigerBeetle's documentation says about accounts and transfers, and nothing of ours.

Written from docs.tigerbeetle.com (reference: Account, Transfer, create_transfers), with its names and its result
codes. An account's `floor` of 0 is its flag debits_must_not_exceed_credits, a `ceiling` of 0 its flag
credits_must_not_exceed_debits; other bounds move the same comparison. Where our ledger differs on purpose, the
difference is a line here that is marked DIFFERS, with its reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass
class Account:
    """Counters in minor units; no floor or ceiling = neither flag."""

    floor: int | None = None
    ceiling: int | None = None
    debits_posted: int = 0
    debits_pending: int = 0
    credits_posted: int = 0
    credits_pending: int = 0

    @property
    def exceeds_credits(self) -> bool:
        """debits_pending + debits_posted > credits_posted, for a floor of 0."""
        spent = self.debits_pending + self.debits_posted
        return self.floor is not None and spent > self.credits_posted - self.floor

    @property
    def exceeds_debits(self) -> bool:
        """credits_pending + credits_posted > debits_posted, for a ceiling of 0."""
        received = self.credits_pending + self.credits_posted
        return self.ceiling is not None and received > self.debits_posted + self.ceiling


class Move(NamedTuple):
    """A transfer that is wanted: `amount` > 0 from the account `debit` to the account `credit`."""

    debit: str
    credit: str
    amount: int


@dataclass
class Pending:
    """A pending transfer. `timeout` in seconds from when it was placed; None = it does not expire."""

    move: Move
    placed_at: int
    timeout: int | None
    posted: int = 0
    state: str = "pending"

    @property
    def remaining(self) -> int:
        return self.move.amount - self.posted


@dataclass
class ReferenceLedger:
    """Every method answers with a result code of create_transfers; only `ok` has changed anything."""

    accounts: dict[str, Account] = field(default_factory=dict)
    clock: int = 0

    def transfer(self, move: Move) -> str:
        """A single-phase transfer."""
        return self.linked([move])

    def linked(self, chain: Sequence[Move]) -> str:
        """A chain of linked transfers: all or none; the code is that of the link that failed.

        DIFFERS: the bounds are those of the books after the chain, not after each link, as a journal has no order for
        an accountant; of several accounts out of bounds the one that the chain names first is told.
        """
        for move in chain:
            if missing := self._missing(move):
                return missing
        after = deepcopy(self.accounts)
        for move in chain:
            after[move.debit].debits_posted += move.amount
            after[move.credit].credits_posted += move.amount
        return self._keep(after, chain)

    def unlinked(self, batch: Sequence[Move]) -> list[str]:
        """Events of one request that are not linked: each sees those before it and has a result of its own."""
        return [self.transfer(move) for move in batch]

    def pend(self, move: Move, timeout: int | None) -> tuple[str, Pending | None]:
        """A pending transfer: nothing is posted, the debit side cannot spend the amount."""
        if missing := self._missing(move):
            return missing, None
        after = deepcopy(self.accounts)
        after[move.debit].debits_pending += move.amount
        after[move.credit].credits_pending += move.amount
        code = self._keep(after, [move])
        return code, Pending(move, self.clock, timeout) if code == "ok" else None

    def post_pending(self, pending: Pending, amount: int | None) -> str:
        """Posts `amount` of it (None: all that is left).

        DIFFERS: what was not posted stays pending for another post, where TigerBeetle gives it back: a shop ships in
        parts. So the amount is compared with what is left, which only an open hold has: "already" is told first.
        """
        if closed := self._closed(pending):
            return closed
        if self._is_over(pending):
            return "pending_transfer_expired"
        wanted = pending.remaining if amount is None else amount
        if wanted > pending.remaining:
            return "exceeds_pending_transfer_amount"
        self._unpend(pending, wanted)
        self.accounts[pending.move.debit].debits_posted += wanted
        self.accounts[pending.move.credit].credits_posted += wanted
        pending.posted += wanted
        pending.state = "pending" if pending.remaining else "posted"
        return "ok"

    def void_pending(self, pending: Pending) -> str:
        """Gives back what is left.

        DIFFERS: a hold whose time is over may be voided until `expire` has been there. Either gives back the same.
        """
        if closed := self._closed(pending):
            return closed
        self._unpend(pending, pending.remaining)
        pending.state = "voided"
        return "ok"

    def expire(self, placed: Sequence[Pending]) -> int:
        """Gives back what is left of those whose timeout has passed; how many they were.

        DIFFERS: a job does it some seconds later, where TigerBeetle does it by its clock: until then the amount is
        still set aside, though it cannot be posted any more.
        """
        due = [one for one in placed if one.state == "pending" and self._is_over(one)]
        for one in due:
            self._unpend(one, one.remaining)
            one.state = "expired"
        return len(due)

    def _missing(self, move: Move) -> str | None:
        for side in ("debit", "credit"):
            if getattr(move, side) not in self.accounts:
                return f"{side}_account_not_found"
        return None

    def _keep(self, after: dict[str, Account], moves: Sequence[Move]) -> str:
        for name in dict.fromkeys(name for move in moves for name in (move.debit, move.credit)):
            if after[name].exceeds_credits:
                return "exceeds_credits"
            if after[name].exceeds_debits:
                return "exceeds_debits"
        self.accounts = after
        return "ok"

    def _is_over(self, pending: Pending) -> bool:
        return pending.timeout is not None and self.clock >= pending.placed_at + pending.timeout

    @staticmethod
    def _closed(pending: Pending) -> str | None:
        names = {
            "posted": "pending_transfer_already_posted",
            "voided": "pending_transfer_already_voided",
            "expired": "pending_transfer_expired",
        }
        return names.get(pending.state)

    def _unpend(self, pending: Pending, amount: int) -> None:
        self.accounts[pending.move.debit].debits_pending -= amount
        self.accounts[pending.move.credit].credits_pending -= amount
