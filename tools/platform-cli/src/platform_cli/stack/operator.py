"""The demo operator: lets whoever has this state directory into the console of this copy, and of no other."""

import asyncio
import subprocess
from typing import Final

from platform_cli.stack.roles import PIPELINE, Surroundings, program
from platform_cli.stack.state import State

DEMO_OPERATOR: Final = "demo"
TIMEOUT_S: Final = 60.0


async def demo_operator(state: State, surroundings: Surroundings) -> None:
    """Add it by the command that a person would use; one that is there stays as it is. Raises RuntimeError."""
    process = await asyncio.create_subprocess_exec(
        program(PIPELINE.program),
        *("operator", "add", DEMO_OPERATOR, "--role", "admin", "--keep"),
        env=surroundings.service_environment(PIPELINE),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    password = state.secret("console_password").encode() + b"\n"
    output, _ = await asyncio.wait_for(process.communicate(password), TIMEOUT_S)
    if process.returncode:
        raise RuntimeError(
            f"the pipeline did not make an operator: {output.decode(errors='replace')[-3000:]}"
        )
