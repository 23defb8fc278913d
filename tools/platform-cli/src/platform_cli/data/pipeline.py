"""The data pipeline as the command line sees it: its operators carry the token that the services share, and a name."""

import getpass
import os

from platform_cli.daily.gateway import Gateway, NothingRuns
from platform_cli.daily.telling import say
from platform_cli.stack.environment_file import read_environment_file
from platform_cli.stack.state import State

OPERATOR = "PLATFORM_OPERATOR"


def pipeline() -> Gateway:
    """From PIPELINE_URL and INTERNAL_TOKEN, of the environment or of what `make up` started. Raises NothingRuns."""
    values = {**read_environment_file(State.default().environment_file), **os.environ}
    if not values.get("PIPELINE_URL") or not values.get("INTERNAL_TOKEN"):
        raise NothingRuns("Nothing runs here: `make up`, or set PIPELINE_URL and INTERNAL_TOKEN.")
    return Gateway(values["PIPELINE_URL"], values["INTERNAL_TOKEN"], say)


def operator(given: str | None) -> str:
    """Who acts, for the row: what was given, PLATFORM_OPERATOR, or the name on this machine."""
    return given or os.environ.get(OPERATOR) or getpass.getuser()
