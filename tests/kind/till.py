"""A shop that never closes: pays one by one while something happens to the platform."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.kind.conftest import Merchant


class Till:
    """Pays without a pause while it is open and keeps what was acknowledged and what failed."""

    def __init__(self, merchant: Merchant, name: str = "till") -> None:
        self.acknowledged: set[str] = set()
        self.failed: list[str] = []
        self.versions: set[str] = set()
        self._merchant, self._name = merchant, name
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join(30)

    def _run(self) -> None:
        number = 0
        while not self._closed.wait(0.1):
            number += 1
            try:
                status, payment, version = self._merchant.pay(f"{self._name}-{number}")
            except OSError as error:
                self.failed.append(f"{number}: {error!r}")
                continue
            if status == 201 and payment["status"] == "captured":
                self.acknowledged.add(payment["id"])
                self.versions.add(version)
            else:
                self.failed.append(f"{number}: {status} {str(payment)[:300]}")
