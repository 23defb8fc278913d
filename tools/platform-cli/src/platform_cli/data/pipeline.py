"""The data pipeline as the command line sees it: its operators carry the token that the services share, and a name."""

import getpass
import os
from typing import Annotated

import typer

from platform_cli.daily.gateway import Gateway, NothingRuns
from platform_cli.daily.telling import say
from platform_cli.stack.environment_file import read_environment_file
from platform_cli.stack.state import State

OPERATOR = "PLATFORM_OPERATOR"
DEMO = "CONSOLE_OPERATOR"


WHO = (
    "which operator you are; by default PLATFORM_OPERATOR, the demo's operator, or your name on this machine"
)
As = Annotated[str | None, typer.Option("--as", help=WHO)]


def pipeline() -> Gateway:
    """From PIPELINE_URL and INTERNAL_TOKEN, of the environment or of what `make up` started. Raises NothingRuns."""
    values = {**read_environment_file(State.default().environment_file), **os.environ}
    if not values.get("PIPELINE_URL") or not values.get("INTERNAL_TOKEN"):
        raise NothingRuns("Nothing runs here: `make up`, or set PIPELINE_URL and INTERNAL_TOKEN.")
    return Gateway(values["PIPELINE_URL"], values["INTERNAL_TOKEN"], say)


def acting_for(given: str | None) -> dict[str, str]:
    """The header that says who acts: what was given, PLATFORM_OPERATOR, the laptop's demo operator, or the name on
    this machine. The pipeline knows its operators and refuses anybody else."""
    known = {**read_environment_file(State.default().environment_file), **os.environ}
    name = given or known.get(OPERATOR) or known.get(DEMO) or getpass.getuser()
    return {"Acting-For": name}
