"""A shop under load: sends one request at a time for one customer, journals it, times it, and classifies the answer."""

import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from loadtests.journal import Journal
from loadtests.samples import FINE, Sample
from loadtests.schedule import Arrival

NO_ANSWER = frozenset({"timeout", "reset"})


class Session(Protocol):
    """What is used of Locust's FastHttpSession."""

    def request(self, method: str, url: str, **more: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all customers of a generator share."""

    session: Session
    journal: Journal
    keep: Callable[[Sample], object]
    clock: Callable[[], float]  # seconds since the start of the run
    api_key: str
    run: str  # letters that make keys and cards this run's own
    seed: int
    receiver_url: str | None = None  # where it can be asked whether a webhook has come


@dataclass(frozen=True, slots=True)
class Answer:
    """`outcome` is one of samples.FINE or of samples.ERRORS; `body` is empty when nobody answered."""

    status: int
    outcome: str
    raw: bytes
    body: Mapping[str, Any]

    @property
    def is_fine(self) -> bool:
        return self.outcome in FINE


class Customer:
    """One arrival on its way: draws its order, and lets a journey ask for things."""

    def __init__(self, shared: Surroundings, arrival: Arrival) -> None:
        self._shared = shared
        self._arrival = arrival
        self._headers = {"Authorization": f"Bearer {shared.api_key}"}
        self._intended_s: float | None = (
            arrival.at_s
        )  # of the next request; later ones are due when they are asked for
        self.draw = Random(f"{shared.seed}-{arrival.number}")  # the same customer in every run of the profile
        self.went_wrong = False

    @property
    def name(self) -> str:
        """This customer's own, in letters: digits might look like a card number."""
        letters = "".join(chr(ord("a") + int(digit)) for digit in str(self._arrival.number))
        return f"{self._shared.run}{letters}"

    @property
    def has_receiver(self) -> bool:
        return self._shared.receiver_url is not None

    def order(self, token: str = "tok_visa", amount_minor: int | None = None, **more: Any) -> dict[str, Any]:
        """A payment by a card and a customer of its own: one card a thousand times is what risk is there to stop."""
        return {
            "amount_minor": amount_minor or self.draw.randint(500, 4_500),
            "currency": "EUR",
            "method": {"type": "card", "card": {"token": f"{token}_{self.name}"}},
            "customer": {"id": f"cus_{self.name}", "country": "DE"},
            **more,
        }

    def key(self, part: str = "pay") -> str:
        """The idempotency key of a part of this journey; of a payment it is the reference, too."""
        return f"load-{self._shared.run}-{self._arrival.number}-{part}"

    def pay(
        self,
        step: str,
        order: dict[str, Any],
        key: str | None = None,
        expect: Collection[str] = ("captured",),
    ) -> Answer:
        """POST a payment; what `expect` names is the state that it should have."""
        key = key or self.key()
        return self.post(step, "payment", "/v1/payments", {**order, "reference": key}, key, expect=expect)

    def post(
        self,
        step: str,
        kind: str,
        path: str,
        body: dict[str, Any],
        key: str,
        *,
        status: int = 201,
        expect: Collection[str] | None = None,
        payment_id: str | None = None,
        same_as: Answer | None = None,
    ) -> Answer:
        """A POST that moves money. Its intent is journaled first; `same_as` must come back byte for byte."""
        self._shared.journal.intend(key, kind, path, body, payment_id)
        headers = {**self._headers, "Idempotency-Key": key, "Content-Type": "application/json"}

        def judge(code: int, raw: bytes, answer: Mapping[str, Any]) -> str:
            if same_as is not None and (code, raw) != (same_as.status, same_as.raw):
                return "wrong"
            return outcome_of(code, answer, status, expect)

        found = self._send(step, "POST", path, headers, judge, json.dumps(body).encode())
        self._shared.journal.conclude(key, found.outcome, found.status, found.body)
        return found

    def get(self, step: str, path: str, check: Callable[[Mapping[str, Any]], bool] = bool) -> Answer:
        """A GET whose answer must pass `check`."""

        def judge(code: int, _: bytes, answer: Mapping[str, Any]) -> str:
            outcome = outcome_of(code, answer, 200, None)
            return "wrong" if outcome == "ok" and not check(answer) else outcome

        return self._send(step, "GET", path, self._headers, judge)

    def await_webhook(self, payment_id: str, within_s: float = 30.0) -> None:
        """Wait at the receiver until it was told of the capture; a step with a latency like any other."""
        url = f"{self._shared.receiver_url}/seen/{payment_id}?within_s={within_s:g}"
        self._send("webhook", "GET", url, {}, lambda code, _raw, _answer: "ok" if code == 200 else "timeout")

    def _send(
        self,
        step: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        judge: Callable[[int, bytes, Mapping[str, Any]], str],
        data: bytes | None = None,
    ) -> Answer:
        shared, sent_s = self._shared, self._shared.clock()
        intended_s, self._intended_s = (sent_s if self._intended_s is None else self._intended_s), None
        with shared.session.request(
            method, path, name=step, data=data, headers=dict(headers), catch_response=True
        ) as reply:
            done_s = shared.clock()
            code = int(reply.status_code or 0)
            raw, body = _read(reply) if code else (b"", {})
            outcome = judge(code, raw, body) if code else _why(reply)
            if outcome in FINE:
                reply.success()
            else:
                reply.failure(outcome)
                self.went_wrong = True
        arrival = self._arrival
        shared.keep(
            Sample(
                arrival.number,
                arrival.journey,
                step,
                arrival.stage,
                intended_s,
                sent_s,
                done_s,
                code,
                outcome,
            )
        )
        return Answer(code, outcome, raw, body)


def outcome_of(
    code: int, answer: Mapping[str, Any], expected_status: int, expected_states: Collection[str] | None
) -> str:
    """Classify by contract, not by the number: a decline is a result, and what is being found out (202) is one, too."""
    slug = str(answer.get("type", ""))
    if code == 503 and slug.endswith("overloaded"):
        return "shed"
    if code == 429:
        return "limited"
    if code >= 500:
        return "failed"
    if code == 202:
        return "pending"
    if code >= 400:
        return "refused"
    if code != expected_status:
        return "wrong"
    if expected_states is None:
        return "ok"
    state = answer.get("status")
    if state in expected_states:
        return "declined" if state == "declined" else "ok"
    decided = (answer.get("risk") or {}).get("decision")
    if state == "requires_action":
        return "challenged"  # risk may ask any payer to prove who he is
    if state == "authorised" and decided == "review":
        return "held"
    if state == "declined" and decided == "block":
        return "declined"
    return "wrong"


def _read(reply: Any) -> tuple[bytes, Mapping[str, Any]]:
    raw = reply.content or b""
    try:
        body = json.loads(raw) if raw else {}
    except ValueError:
        body = {}
    return raw, body if isinstance(body, dict) else {}


def _why(reply: Any) -> str:
    """No status: time was up, or the connection broke."""
    error = str(getattr(reply, "error", "")).lower() + type(getattr(reply, "error", None)).__name__.lower()
    return "timeout" if "timeout" in error or "timed out" in error else "reset"


def now() -> float:
    return time.monotonic()
