"""Where a running copy of the platform keeps what must survive: data, secrets, ports, logs.

`.platform/` in the clone by default; PLATFORM_STATE names another one: several copies live side by side.
"""

import base64
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from platform_cli.embedded.roles import ROLES, roles_file
from platform_cli.embedded.unprivileged import is_reachable, server_user, temporary_root
from platform_cli.stack.ports import choose_port

SOCKET_PATH_MAX = (
    90  # sun_path holds 104 bytes on macOS, 108 on Linux; supervisor appends ".<pid>" for a moment
)
PREFERRED_PORTS = {
    "gateway": 8000,
    "risk": 8001,
    "pipeline": 8002,
    "channels": 8003,
    "postgres": 15432,  # not 5432 and 6379: those often belong to somebody
    "redis": 16379,
}


def clone() -> Path:
    """The directory of the repository that this command line is installed from."""
    return roles_file().parents[4]


@dataclass(frozen=True, slots=True)
class State:
    """The state directory of one copy. Nothing is made before `prepare`."""

    root: Path

    @classmethod
    def default(cls) -> "State":
        return cls(Path(os.environ.get("PLATFORM_STATE") or clone() / ".platform").resolve())

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def environment_file(self) -> Path:
        return self.root / "env"

    @property
    def data(self) -> Path:
        """Below the state directory, unless the database server's account could not get there."""
        user = server_user()
        if is_reachable(self.root.parent, user):
            return self.root / "data"
        return temporary_root(user) / f"platform-{os.geteuid()}-{self.tag}"

    @property
    def socket(self) -> Path:
        """The supervisor's control socket, in a short place when the clone's path is long."""
        wanted = self.run / "supervisor.sock"
        if len(os.fsencode(wanted)) <= SOCKET_PATH_MAX:
            return wanted
        return Path(tempfile.gettempdir()) / f"platform-{os.geteuid()}-{self.tag}.sock"

    @property
    def tag(self) -> str:
        return hashlib.sha256(os.fsencode(self.root)).hexdigest()[:10]

    def prepare(self) -> None:
        """Make the directories; only the database server's account may pass through, and only to its data."""
        for place in (self.root, self.data):
            place.mkdir(parents=True, exist_ok=True)
            place.chmod(0o711)
        for place in (self.run, self.logs, self.secrets, self.data / "redis", self.data / "channels"):
            place.mkdir(parents=True, exist_ok=True)
            place.chmod(0o700)

    def wipe(self) -> None:
        """Remove data, secrets and logs; what the bench and others wrote beside them stays."""
        for place in (self.data, self.run, self.logs, self.secrets):
            shutil.rmtree(place, ignore_errors=True)
        for file in (self.environment_file, self.root / "ports.json"):
            file.unlink(missing_ok=True)

    def secret(self, name: str) -> str:
        """The secret called `name`, made at its first use and kept until `reset`."""
        file = self.secrets / name
        if not file.exists():
            write_private(file, _new_secret(name))
        return file.read_text()

    def role_passwords(self) -> dict[str, str]:
        return {role: self.secret(f"{role}_password") for role in ROLES}

    def ports(self, wanted: tuple[str, ...]) -> dict[str, int]:
        """A port per name: last time's, the preferred one, or any; never one that somebody else uses."""
        file = self.root / "ports.json"
        last: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        chosen: dict[str, int] = {}
        for name in wanted:
            remembered = [port for port in (last.get(name), PREFERRED_PORTS.get(name)) if port]
            chosen[name] = choose_port(self.root, remembered, chosen.values())
        file.write_text(json.dumps(chosen, indent=1))
        return chosen

    def known_ports(self) -> dict[str, int]:
        """The ports of the copy that runs; empty when none was ever started."""
        file = self.root / "ports.json"
        return json.loads(file.read_text()) if file.exists() else {}


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner reads."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text(text)


def _new_secret(name: str) -> str:
    if name == "channel_secret":  # Standard Webhooks names the encoding of its keys
        return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    if name == "vault_keys":  # the newest first; docs/vault.md says how another one is added
        return "k1:" + base64.b64encode(secrets.token_bytes(32)).decode()
    if name == "risk_fingerprint_keys":  # the newest first; docs/privacy.md says how another one is added
        return "k1:" + secrets.token_hex(24)
    if name == "admin_api_key":
        return f"sk_admin_{secrets.token_hex(24)}"
    if name == "console_password":  # a person types it
        return secrets.token_hex(8)
    return secrets.token_hex(24)
