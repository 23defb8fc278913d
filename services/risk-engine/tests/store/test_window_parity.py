"""A simulated history through both definitions of the windows: the one Lua call as payments come, SQL afterwards.

Equal for every window of every payment. PROOF_SCALE=50 (`make proof-nightly`) plays the whole of the Fraud Detection
Handbook, 1,754,155 payments, or as much of it as PROOF_MINUTES allows; what was compared stands in the report.
"""

import os
import sys
import time
from collections.abc import Callable

import asyncpg
import pytest
from parity_rig import Parity, history_of

from platform_cli.embedded.testing import FreshDatabase
from platform_kit.redis import create_redis
from risk_engine.clients.features import FeatureStore
from risk_engine.domain.simulator import CUSTOMERS, DAYS, TERMINALS, simulate
from risk_engine.domain.velocity import SERIES

SCALE = int(os.environ.get("PROOF_SCALE", "1"))
MINUTES = float(os.environ.get("PROOF_MINUTES", "55"))
SLICE = {"customers": 60, "terminals": 6_000, "days": 45}  # of 37 that the longest window looks back
WHOLE = {"customers": CUSTOMERS, "terminals": TERMINALS, "days": DAYS}


@pytest.mark.timeout(60 * MINUTES + 600 if SCALE > 1 else 120)
async def test_every_window_of_a_simulated_history_is_equal(
    fresh_database: FreshDatabase,
    clean_redis_url: str,
    record_property: Callable[[str, object], None],
) -> None:
    transactions = simulate(**(WHOLE if SCALE >= 50 else SLICE | {"customers": SLICE["customers"] * SCALE}))
    database = await fresh_database("risk")
    connection = await asyncpg.connect(database.admin_url)
    try:
        async with create_redis(clean_redis_url, timeout_s=60) as redis:
            # A call that is given up on and asked again comes after its successors, who have pruned what it would
            # have read.
            parity = Parity(FeatureStore(redis, timeout_s=60), connection)
            began_s = time.monotonic()
            await parity.play(history_of(transactions), until_s=began_s + 60 * MINUTES)
    finally:
        await connection.close()
    # Played for some minutes only, a history may end before the first payment that a delayed window can look at.
    unreached = {
        window.name for series in SERIES for window in series.windows if window.delay_ms >= parity.reached_ms
    }
    told = (
        f"{parity.compared:,} of {len(transactions.at_s):,} payments, {parity.windows:,} windows in "
        f"{time.monotonic() - began_s:.0f} s; {parity.saturated:,} at their cap; "
        f"{len(parity.differences):,} differences; {len(unreached)} kinds of windows not reached"
    )
    record_property("parity", told)
    sys.stdout.write(told + "\n")
    assert parity.differences == []
    assert parity.saturated == 0, "a cap that is reached leaves less to compare"
    assert parity.compared > 1_000
    assert unreached == set() or parity.compared < len(transactions.at_s)
    assert {name for name, largest in parity.seen.items() if largest == 0} <= unreached, (
        "windows that nothing was in"
    )
