"""The rigs of the services' own tests, for tests that run one beside another."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
SERVICES = HERE.parents[1] / "services"
RIGS = (
    HERE,
    SERVICES / "payment-gateway" / "tests" / "simulators",
    SERVICES / "payment-gateway" / "tests" / "api",
    SERVICES / "risk-engine" / "tests",
    SERVICES / "data-pipeline" / "tests",
)
for directory in RIGS:
    sys.path.insert(0, str(directory))
