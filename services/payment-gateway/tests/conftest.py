"""What the gateway's tests share."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # `factories` is a module of the tests, not of the service
