"""The state machines use the rig and the witnesses of the other tests."""

import sys
from pathlib import Path

for folder in ("simulators", "api", "money_bugs", "property"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))
