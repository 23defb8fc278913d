"""Completion of the shell's Tab key."""

from enum import StrEnum
from typing import Annotated

import typer
from typer._completion_shared import get_completion_script


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument()]) -> None:
    """Print the shell's completion script: `source <(platform completion bash)`."""
    variable = "_PLATFORM_COMPLETE"  # where typer looks for a request to complete
    typer.echo(get_completion_script(prog_name="platform", complete_var=variable, shell=shell))
