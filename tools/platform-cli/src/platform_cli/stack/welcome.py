"""What `platform up` says at its end: where everything is, and one command that pays."""

import os
from pathlib import Path

from platform_cli.stack.bring_up import Running
from platform_cli.stack.operator import DEMO_OPERATOR


def welcome(running: Running) -> str:
    """Plain text with rich markup."""
    surroundings = running.surroundings
    gateway = surroundings.url("gateway")
    password = running.state.secret("console_password")
    return f"""
[bold green]The platform runs.[/bold green]

  gateway   {gateway}   (API documentation: {gateway}/openapi.json)
  risk      {surroundings.url("risk")}   (API documentation: {surroundings.url("risk")}/openapi.json)
  console   {surroundings.url("pipeline")}/console   (log in as {DEMO_OPERATOR}, password {password})
  channels  {surroundings.url("channels")}   (simulated card and wallet channels)

Pay:

  source {_as_typed(running.state.environment_file)}
  {curl_that_pays()}

`make ps` shows the processes, `make logs` what they say, `make down` stops them.
"""


def _as_typed(file: Path) -> str:
    """Relative where that is shorter: from the clone, `.platform/env`."""
    return os.path.relpath(file) if file.is_relative_to(Path.cwd()) else str(file)


def curl_that_pays() -> str:
    """A shell command for one payment; the key makes a repeat harmless."""
    body = '{"amount_minor":1250,"currency":"EUR","method":{"type":"card","card":{"token":"tok_visa"}}}'
    return (
        'curl -s "$GATEWAY_URL/v1/payments" -H "Authorization: Bearer $DEMO_API_KEY" '
        f"-H 'Idempotency-Key: first-payment' -H 'Content-Type: application/json' -d '{body}'"
    )
