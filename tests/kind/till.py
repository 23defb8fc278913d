"""A merchant who pays on time whatever happens, and afterwards knows of each key what became of it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.kind.conftest import Merchant

PAID = (201, "captured")


@dataclass
class Till:
    """Pays `per_s` times a second while it is open, each payment on a connection of its own, without retries.

    It is an open loop: who waits for an answer keeps nobody else waiting.
    """

    merchant: Merchant
    name: str
    per_s: float = 8
    acknowledged: dict[str, str] = field(default_factory=dict)
    """Payment id by key, of those that were answered as captured."""
    failed: dict[str, str] = field(default_factory=dict)
    """What was said instead, by key."""
    versions: set[str] = field(default_factory=set)
    """Of the gateways that answered."""

    def __post_init__(self) -> None:
        self._closed = threading.Event()
        self._clerks: list[threading.Thread] = []
        self._began = 0.0
        self._clock = threading.Thread(target=self._run)

    @property
    def keys(self) -> set[str]:
        return self.acknowledged.keys() | self.failed.keys()

    def __enter__(self) -> Till:
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._clock.join(30)
        for clerk in self._clerks:
            clerk.join(30)

    def _run(self) -> None:
        self._began, number = time.monotonic(), 0
        while not self._closed.wait(max(0.0, self._began + number / self.per_s - time.monotonic())):
            number += 1
            clerk = threading.Thread(target=self._pay, args=(f"{self.name}-{number}",))
            self._clerks.append(clerk)
            clerk.start()

    def _pay(self, key: str) -> None:
        sent_at = time.monotonic()
        try:
            status, payment, version = self.merchant.pay(key)
        except OSError as error:
            self.failed[key] = f"{error!r}, {sent_at - self._began:.1f} s after it opened"
            return
        self.versions.add(version)
        if status == 201 and payment["status"] == "captured":
            self.acknowledged[key] = payment["id"]
        else:
            self.failed[key] = f"{status} {str(payment)[:300]}"

    def resolve(self, within_s: float = 90) -> None:
        """Ask again under each key that was not answered, until it is: that is what a merchant does."""
        give_up = time.monotonic() + within_s
        for key in list(self.failed):
            while key in self.failed:
                assert time.monotonic() < give_up, f"not resolved after {within_s} s: {self.failed}"
                try:
                    status, payment, _ = self.merchant.pay(key)
                except OSError:
                    status, payment = 0, {}
                if status in (200, 201) and payment["status"] == "captured":
                    self.acknowledged[key] = payment["id"]
                    del self.failed[key]
                else:
                    time.sleep(0.5)
