"""The demo operator: lets whoever has this state directory into the console of this copy, and of no other."""

import asyncio
import subprocess
from typing import Final

import aiohttp

from platform_cli.stack.roles import PIPELINE, Surroundings, program
from platform_cli.stack.state import State

DEMO_OPERATOR: Final = "demo"
TIMEOUT_S: Final = 60.0


async def demo_operator(state: State, surroundings: Surroundings) -> None:
    """Add it by the command that a person would use, and admit it to risk control, whose roles are its own; one that is
    there stays as it is. Raises RuntimeError."""
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
    await _admit(surroundings.url("risk"), state.secret("internal_token"))


async def _admit(risk_url: str, token: str) -> None:
    headers, body = {"Authorization": f"Bearer {token}"}, {"name": DEMO_OPERATOR, "role": "lead"}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session,
        session.post(f"{risk_url}/v1/staff", json=body, headers=headers) as reply,
    ):
        if reply.status not in (201, 409):  # 409: of an earlier time
            raise RuntimeError(f"the risk engine did not admit {DEMO_OPERATOR}: {reply.status}")
