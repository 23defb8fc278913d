"""Bring every card and subject under the newest key-encryption key, so that the older ones can be taken away."""

from __future__ import annotations

from typing import Final

from payment_gateway.operations.subjects import Subjects
from payment_gateway.operations.vault import Vault
from platform_kit.logging import get_logger

BATCH: Final = 200  # a transaction of some 50 ms

log = get_logger(__name__)


async def rotate_vault_keys(vault: Vault, batch: int = BATCH) -> int:
    """How many data keys were re-wrapped; 0 when all are under the newest key, or where there is no vault.

    May run anywhere and at once: a batch is locked, and what another run holds is left to it. Raises UnknownKey, and
    touches nothing, while some of them is under a key that this process does not have.
    """
    if not vault.is_open:
        return 0
    subjects = Subjects(vault, remember_s=0)
    await vault.check_keys()
    await subjects.check_keys()
    done = 0
    while rewrapped := await vault.rewrap_some(batch):
        done += rewrapped
    while rewrapped := await subjects.rewrap_some(batch):
        done += rewrapped
    if done:
        log.info("vault keys rotated", keys=done)
    return done
