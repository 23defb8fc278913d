"""The rigs of the gateway's own tests, for tests that run it beside another service."""

import sys
from pathlib import Path

GATEWAY_TESTS = Path(__file__).parents[2] / "services" / "payment-gateway" / "tests"
for directory in ("simulators", "api"):
    sys.path.insert(0, str(GATEWAY_TESTS / directory))
