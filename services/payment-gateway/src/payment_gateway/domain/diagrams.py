"""docs/states.md, drawn from the state tables: `python -m payment_gateway.domain.diagrams > docs/states.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from payment_gateway.domain import dispute, payment, payout

HEAD: Final = """# States

Drawn from the tables in the code by `python -m payment_gateway.domain.diagrams`; a test compares. An event that has no
arrow from a state is refused there: 409 `invalid-state` with what is allowed, and nothing has moved.
"""

REFUND: Final = {("pending", "succeed"): "succeeded", ("pending", "fail"): "failed"}
"""`domain.refund.Refund.settled`: a pending refund settles once."""

MACHINES: Final[Mapping[str, Mapping[Any, Any]]] = {
    "Payment": payment.TRANSITIONS,
    "Refund": REFUND,
    "Dispute": dispute.TRANSITIONS,
    "Payout": payout.TRANSITIONS,
}


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(_section(name, table) for name, table in MACHINES.items())])


def _section(name: str, table: Mapping[Any, Any]) -> str:
    arrows = sorted({line for (state, event), to in table.items() for line in _arrows(state, event, to)})
    return "\n".join([f"## {name}", "", "```mermaid", "stateDiagram-v2", *arrows, "```", ""])


def _arrows(state: str, event: str, to: StrEnum | str | Iterable[str]) -> list[str]:
    targets = [to] if isinstance(to, str) else sorted(to)
    return [f"    {state} --> {target}: {event}" for target in targets]


if __name__ == "__main__":
    sys.stdout.write(page())
