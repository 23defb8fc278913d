"""`Sandbox-Fault` of a request: what a simulated channel shall get wrong with its payment.

docs/channels.md has the words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import Header
from pydantic import WithJsonSchema

from payment_gateway.clients.simulators.scripts import Fault
from platform_kit.idempotency import Fingerprint, fingerprint_of

HEADER: Final = "Sandbox-Fault"
MEMBER: Final = (
    "sandbox_fault"  # of the metadata: the fault stays with the payment, for what is done to it later
)
PATTERN: Final = rf"^((capture|void|refund):)?({'|'.join(Fault)})$"
"""A word with a typo in it would let every test of a fault pass."""

SandboxFault = Annotated[
    str | None,
    # Not sent, it is None; there is no null in a header.
    WithJsonSchema({"type": "string", "pattern": PATTERN, "examples": ["charge-then-drop"]}),
    Header(
        alias=HEADER,
        pattern=PATTERN,
        description="In a sandbox: what the simulated channel gets wrong. The same as `metadata.sandbox_fault`.",
    ),
]


def with_fault(metadata: Mapping[str, str], fault: str | None) -> dict[str, str]:
    """The metadata of a payment that was asked for with this header."""
    return {**metadata, MEMBER: fault} if fault else dict(metadata)


def fingerprint_with(fault: str | None) -> Fingerprint:
    """Ties a key to this header too, where there is one."""
    if not fault:
        return fingerprint_of
    return lambda path, body: fingerprint_of(path, body + b"\n" + fault.encode())
