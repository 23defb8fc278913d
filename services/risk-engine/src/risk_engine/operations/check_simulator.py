"""Run the whole simulator and compare it with the published counts: `make simulator-check`.

    python -m risk_engine.operations.check_simulator

Python or NumPy may change a generator; then the model's training data is no longer the handbook's. Takes 7 s.
"""

import sys

import numpy as np

from risk_engine.domain.simulator import simulate

TRANSACTIONS = 1_754_155
FRAUDS_ADDED = (978, 9_099, 4_604)  # by each scenario in its turn
LABELS = (973, 9_077, 4_631)  # after later scenarios have overwritten earlier ones


def check_simulator() -> list[str]:
    """What differs from the published counts; empty when nothing does."""
    made = simulate()
    found = {
        "transactions": (len(made.at_s), TRANSACTIONS),
        "frauds added": (made.frauds_added, FRAUDS_ADDED),
        "labels": (tuple(np.bincount(made.scenario)[1:].tolist()), LABELS),
    }
    return [f"{what}: {got}, published {wanted}" for what, (got, wanted) in found.items() if got != wanted]


if __name__ == "__main__":
    differences = check_simulator()
    version = f"Python {sys.version.split()[0]}, NumPy {np.__version__}"
    print("\n".join(differences) or f"the simulator gives the published counts ({version})")  # noqa: T201 - a command
    sys.exit(bool(differences))
