"""`.platform/env`: where everything is, as shell exports, for any tool outside."""

import shlex
from pathlib import Path

from platform_cli.stack.merchant import Merchant
from platform_cli.stack.operator import DEMO_OPERATOR
from platform_cli.stack.roles import Surroundings
from platform_cli.stack.state import State, write_private


def write_environment_file(
    state: State, surroundings: Surroundings, admin_url: str, merchant: Merchant
) -> None:
    """Write the file; only its owner may read it, for it has keys in it."""
    values = {
        "GATEWAY_URL": surroundings.url("gateway"),
        "RISK_URL": surroundings.url("risk"),
        "PIPELINE_URL": surroundings.url("pipeline"),
        "CONSOLE_URL": f"{surroundings.url('pipeline')}/console",
        "CONSOLE_OPERATOR": DEMO_OPERATOR,
        "CONSOLE_PASSWORD": state.secret("console_password"),
        "CHANNELS_URL": surroundings.url("channels"),
        "DEMO_MERCHANT_ID": merchant.id,
        "DEMO_API_KEY": merchant.api_key,
        "ADMIN_API_KEY": state.secret("admin_api_key"),
        "INTERNAL_TOKEN": state.secret("internal_token"),
        "DATABASE_URL": admin_url,
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    write_private(state.environment_file, "\n".join(lines) + "\n")


def read_environment_file(file: Path) -> dict[str, str]:
    """The values of the file; empty when there is none."""
    if not file.exists():
        return {}
    exports = (line.removeprefix("export ").partition("=") for line in file.read_text().splitlines() if line)
    return {name: shlex.split(value)[0] if value else "" for name, _, value in exports}
