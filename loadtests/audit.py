"""After the load: was anything lost, doubled, or left hanging? The claims come from the generator's journal.

The comparison itself is `platform_cli.audit`, the one that the demonstration and the drills use. What is added here:
keys whose outcome is not known are asked again until it is, and each webhook must have had its effect once.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from loadtests.journal import UNANSWERED, Entry
from platform_cli.audit.compare import TOLD, WAITING, Finding, audit, count
from platform_cli.audit.shop import NoAnswer, Shop
from platform_cli.audit.witnesses import Evidence, Mark, NotInWarehouse, Witnesses

AMBIGUOUS = frozenset({UNANSWERED, "timeout", "reset", "failed", "pending", "unfinished"})
"""Money may have moved, or not. `shed` and `limited` say that nothing was done; the audit holds them to it."""
NOTHING_DONE = frozenset({"shed", "limited", "refused"})
SETTLED_WITHIN_S = 60.0  # promise P5: what is unknown is found out within a minute
WEBHOOKS_WITHIN_S = 60.0
ASK_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Claim:
    """What the shop says of one payment; see platform_cli.audit.compare.Claim."""

    reference: str
    payment_id: str | None
    told: Mapping[str, Any]
    trouble: str | None = None
    refused: Mapping[str, Any] | None = None
    replay_is_equal: bool | None = None


@dataclass(slots=True)
class Webhooks:
    """What the receiver's journal and the event log say of each other."""

    events: int = 0
    delivered: int = 0
    repeated: int = 0  # deliveries beyond the first: allowed, and without effect
    forged: int = 0
    first_attempt_ms: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Verdict:
    """The audit's result. It stands when `findings` is empty."""

    findings: list[Finding]
    keys: int = 0
    acknowledged: int = 0
    ambiguous: int = 0
    had_happened: int = 0  # of the ambiguous: it turned out that the platform had done them
    unresolved: int = 0
    payments: int = 0
    charges: int | None = None
    ledger_balanced: bool | None = None
    webhooks: Webhooks | None = None
    silent: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def lost(self) -> int:
        return count(self.findings, "lost")

    @property
    def doubled(self) -> int:
        return count(self.findings, "doubled")

    @property
    def line(self) -> str:
        """lost / doubled / ambiguous, as one line."""
        asked = f"{self.had_happened} had happened, {self.unresolved} unresolved"
        return f"{self.lost} lost, {self.doubled} doubled, {self.ambiguous} ambiguous ({asked})"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "lost": self.lost, "doubled": self.doubled}


async def audit_run(
    entries: Sequence[Entry],
    shop: Shop,
    witnesses: Witnesses,
    since: Mark,
    webhook_journal: Path | None,
    say: Callable[[str], None] = lambda _: None,
) -> Verdict:
    """Ask everybody and compare. What does not answer at all is a finding, not an exception."""
    began = time.monotonic()
    verdict = Verdict([], keys=len(entries))
    try:
        verdict.ambiguous = sum(entry.outcome in AMBIGUOUS for entry in entries)
        say(f"asking again about {verdict.ambiguous} requests whose outcome is not known")
        verdict.had_happened = await _resolve(entries, shop)
        say("waiting until everything is decided")
        await _settle(entries, shop)
        say("asking the witnesses")
        evidence = await witnesses.give_evidence(shop, since=since)
        if webhook_journal:
            verdict.webhooks, missing = await _webhooks(shop, webhook_journal)
            verdict.findings += missing
        if witnesses.can_verify_ledger:
            ledger = await witnesses.ledger()
            verdict.ledger_balanced = bool(ledger["balanced"])
            if not verdict.ledger_balanced:
                verdict.findings.append(Finding("wrong", f"ledger: {ledger['differences']}"))
    except (NoAnswer, NotInWarehouse, OSError) as error:
        verdict.findings.append(Finding("stuck", f"the audit got no answer: {error}"))
        verdict.unresolved = sum(entry.outcome in AMBIGUOUS for entry in entries)
        verdict.seconds = round(time.monotonic() - began, 1)
        return verdict
    claims = list(claims_of(entries))
    verdict.findings += [*audit(claims, evidence), *one_payment_per_key(entries, evidence)]
    verdict.acknowledged = sum(claim.payment_id is not None for claim in claims)
    verdict.unresolved = sum(entry.outcome in AMBIGUOUS for entry in entries)
    verdict.payments = len(evidence.payments)
    verdict.charges = (
        None if evidence.charges is None else sum(record.charges for record in evidence.charges.values())
    )
    verdict.silent = evidence.silent + ([] if webhook_journal else ["the webhook receiver"])
    verdict.seconds = round(time.monotonic() - began, 1)
    return verdict


def claims_of(entries: Iterable[Entry]) -> Iterator[Claim]:
    """One per payment that was asked for, with what later acts on it were acknowledged to have done."""
    acts: dict[str, list[Entry]] = {}
    payments = []
    for entry in entries:
        if entry.kind == "payment":
            payments.append(entry)
        elif entry.payment_id:
            acts.setdefault(entry.payment_id, []).append(entry)
    for entry in payments:
        payment_id = entry.told.get("id")
        told = {name: entry.told[name] for name in TOLD if name in entry.told}
        trouble = f"{entry.outcome} ({entry.status})" if entry.outcome in AMBIGUOUS else None
        for act in acts.get(str(payment_id), ()):
            if act.outcome in AMBIGUOUS:
                trouble = f"its {act.kind} is {act.outcome} ({act.status})"
            elif act.kind == "refund" and act.told.get("status") in {"succeeded", "pending", "processing"}:
                told["refunded_minor"] = told.get("refunded_minor", 0) + act.amount_minor
            elif act.kind in {"capture", "void", "cancel"} and act.told:
                told |= {name: act.told[name] for name in TOLD if name in act.told}
        yield Claim(entry.key, payment_id, told, trouble, replay_is_equal=entry.replay_is_equal)


def one_payment_per_key(entries: Iterable[Entry], evidence: Evidence) -> Iterator[Finding]:
    """A key leads to one payment, and what was refused as not done was not done."""
    kept = Counter(payment["reference"] for payment in evidence.payments.values())
    for entry in entries:
        if len(entry.ids) > 1:
            yield Finding("doubled", f"{entry.key} was answered with {' and '.join(sorted(entry.ids))}")
        if entry.kind == "payment" and entry.outcome in NOTHING_DONE and not entry.ids and kept[entry.key]:
            yield Finding("wrong", f"{entry.key} was {entry.outcome}, but there is a payment of it")


async def _resolve(entries: Sequence[Entry], shop: Shop) -> int:
    """Ask with the same key and body until there is an answer. Returns how many the platform had done already."""
    gate = asyncio.Semaphore(ASK_AT_ONCE)
    asked_at = time.time()
    had_happened = 0

    async def ask(entry: Entry) -> None:
        nonlocal had_happened
        async with gate:
            reply = await shop.post(entry.path, entry.body, entry.key)
            while reply.status == 202 and time.time() - asked_at < SETTLED_WITHIN_S:
                await asyncio.sleep(0.5)
                reply = await shop.post(entry.path, entry.body, entry.key)
        if reply.is_success:
            had_happened += _made_before(reply.body, asked_at)
            entry.hear("ok" if reply.status != 202 else "pending", reply.status, reply.body)
        else:
            entry.hear("refused", reply.status, {})

    # acts need the payment that they are about, so payments come first
    for kinds in ({"payment"}, {"capture", "void", "refund"}):
        await asyncio.gather(*(ask(e) for e in entries if e.outcome in AMBIGUOUS and e.kind in kinds))
    return had_happened


def _made_before(answer: Mapping[str, Any], moment: float) -> bool:
    made = answer.get("created_at")
    return bool(made) and datetime.fromisoformat(str(made)).timestamp() < moment


async def _settle(entries: Sequence[Entry], shop: Shop) -> None:
    """Wait for what is being found out; give up what only a payer could go on with."""
    refunds: Counter[str] = Counter()
    for entry in entries:
        if entry.kind == "refund" and entry.told.get("id") and entry.payment_id:
            refunds[entry.payment_id] += entry.amount_minor
    deadline = time.monotonic() + SETTLED_WITHIN_S
    while True:
        payments = {payment["id"]: payment for payment in await shop.all_payments()}
        for payment in payments.values():
            if payment["status"] == "requires_action":
                await shop.post(
                    f"/v1/payments/{payment['id']}/cancel", {}, f"{payment['reference']}-given-up"
                )
        open_ones = [one for one in payments.values() if one["status"] in WAITING]
        owed = [
            payment_id
            for payment_id, minor in refunds.items()
            if payment_id in payments and payments[payment_id]["refunded_minor"] < minor
        ]
        if (not open_ones and not owed) or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.5)
    for entry in entries:  # a payment that was being found out is told as it is now
        told = payments.get(str(entry.told.get("id"))) if entry.kind == "payment" else None
        if told and entry.told.get("status") in WAITING:
            entry.told = {**entry.told, **{name: told[name] for name in TOLD}}


async def _webhooks(shop: Shop, journal: Path) -> tuple[Webhooks, list[Finding]]:
    """Every event of the merchant has had its effect at the receiver exactly once."""
    deadline = time.monotonic() + WEBHOOKS_WITHIN_S
    while True:
        events = await _events(shop)
        found, findings = compare_webhooks(events, read_lines(journal))
        if found.delivered >= found.events or time.monotonic() > deadline:
            return found, findings
        await asyncio.sleep(1)


def compare_webhooks(
    events: Mapping[str, Mapping[str, Any]], deliveries: Iterable[Mapping[str, Any]]
) -> tuple[Webhooks, list[Finding]]:
    """`events`: id -> event that the platform says happened; `deliveries`: lines of the receiver's journal."""
    found, findings = Webhooks(events=len(events)), []
    effects: Counter[str] = Counter()
    for line in deliveries:
        if line.get("forged"):
            found.forged += 1
            findings.append(Finding("wrong", f"a delivery of {line.get('event_id')} was not signed by us"))
        elif line["first"]:
            effects[line["event_id"]] += 1
            event = events.get(line["event_id"])
            if event is None:
                findings.append(
                    Finding("wrong", f"{line['event_id']} was delivered, and the event log has none")
                )
            else:
                happened = datetime.fromisoformat(event["occurred_at"]).timestamp()
                found.first_attempt_ms.append(max(0.0, 1000 * (line["at"] - happened)))
        else:
            found.repeated += 1
    found.delivered = sum(event_id in events for event_id in effects)
    findings += [
        Finding("lost", f"{event_id} ({event['type']}) was never delivered")
        for event_id, event in events.items()
        if not effects[event_id]
    ]
    findings += [
        Finding("doubled", f"{event_id} had its effect {times} times")
        for event_id, times in effects.items()
        if times > 1
    ]
    found.first_attempt_ms.sort()
    return found, findings


async def _events(shop: Shop) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    params = {"limit": "100", "order": "asc"}
    while True:
        page = (await shop.get("/v1/events", params)).body["data"]
        if not page:
            return found
        found |= {event["id"]: event for event in page}
        params = {"limit": "100", "order": "asc", "after": page[-1]["id"]}


def read_lines(file: Path) -> list[dict[str, Any]]:
    """JSON lines; a torn last one is left out."""
    if not file.exists():
        return []
    found = []
    for raw in file.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(raw))
        except ValueError:
            continue
    return found
