"""The risk engine as the command line sees it: people act with their own token, everybody may read."""

import os

from platform_cli.daily.gateway import Gateway, NothingRuns
from platform_cli.daily.telling import say
from platform_cli.stack.environment_file import read_environment_file
from platform_cli.stack.state import State

TOKEN = "RISK_STAFF_TOKEN"  # noqa: S105 - the name of a variable
HOW = f"Set {TOKEN} to your token. An administrator makes one: platform risk staff admit ada --role lead"


def engine_to_read() -> Gateway:
    """With a person's token, or the one that the platform's services share. Raises NothingRuns."""
    url, values = _surroundings()
    token = values.get(TOKEN) or values.get("INTERNAL_TOKEN")
    if not token:
        raise NothingRuns(HOW)
    return Gateway(url, token, say)


def engine_to_act() -> Gateway:
    """With a person's token: what is done has a name. Raises NothingRuns."""
    url, values = _surroundings()
    if not values.get(TOKEN):
        raise NothingRuns(HOW)
    return Gateway(url, values[TOKEN], say)


def engine_as_administrator() -> Gateway:
    """With the token that the platform's services share: who has it decides who may act. Raises NothingRuns."""
    url, values = _surroundings()
    if not values.get("INTERNAL_TOKEN"):
        raise NothingRuns("Set INTERNAL_TOKEN to the token that the platform's services share.")
    return Gateway(url, values["INTERNAL_TOKEN"], say)


def _surroundings() -> tuple[str, dict[str, str]]:
    values = {**read_environment_file(State.default().environment_file), **os.environ}
    if not values.get("RISK_URL"):
        raise NothingRuns("Nothing runs here: `make up`, or set RISK_URL.")
    return values["RISK_URL"], values
