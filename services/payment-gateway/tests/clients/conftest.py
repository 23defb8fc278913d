"""Where the tests of the clients find the simulators' rig."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "simulators"))
sys.path.insert(0, str(Path(__file__).parent))
