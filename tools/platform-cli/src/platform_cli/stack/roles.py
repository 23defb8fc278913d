"""The processes of the platform and what each is told: pure data, from ports to environment variables."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Service:
    """One of the three services, or the channel simulators that come with the gateway."""

    name: str
    program: str
    schema: str
    secrets: tuple[str, ...]  # beside the database's, Redis' and the internal token
    further_schemas: tuple[str, ...] = ()  # each with roles and a migration of its own


GATEWAY = Service(
    "gateway",
    "payment-gateway",
    "payments",
    ("admin_api_key", "channel_secret", "vault_keys", "vault_fingerprint_key"),
    ("vault",),
)
RISK = Service("risk", "risk-engine", "risk", ("risk_fingerprint_keys",))
PIPELINE = Service("pipeline", "data-pipeline", "pipeline", ())
SERVICES = (GATEWAY, RISK, PIPELINE)


@dataclass(frozen=True, slots=True)
class Role:
    """One process. `serves` names the port of its public HTTP API, if it has one."""

    name: str
    service: Service
    command: str
    serves: str | None = None

    @property
    def ops(self) -> str:
        """Name of the port for metrics and health."""
        return f"{self.name}-ops"


ROLES: tuple[Role, ...] = (
    Role("channels", GATEWAY, "channels", serves="channels"),
    Role("gateway-api", GATEWAY, "api", serves="gateway"),
    Role("gateway-worker", GATEWAY, "worker"),
    Role("gateway-relay", GATEWAY, "relay"),
    Role("risk-api", RISK, "api", serves="risk"),
    Role("risk-worker", RISK, "worker"),
    Role("risk-consumer", RISK, "consumer"),
    Role("risk-relay", RISK, "relay"),
    Role("pipeline-api", PIPELINE, "api", serves="pipeline"),
    Role("pipeline-worker", PIPELINE, "worker"),
    Role("pipeline-consumer", PIPELINE, "consumer"),
)
PORT_NAMES = (
    *("gateway", "risk", "pipeline", "channels", "postgres", "redis"),
    *(role.ops for role in ROLES),
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the roles connect to. URLs have no passwords: those are files in its secrets directory."""

    ports: Mapping[str, int]
    database: str  # host:port/name
    redis_url: str
    secrets: Path
    channel_journal: Path
    extra: Mapping[str, str] = field(default_factory=dict)

    def url(self, name: str) -> str:
        return f"http://{LOOPBACK}:{self.ports[name]}"

    def environment(self, role: Role) -> dict[str, str]:
        """The whole environment of one process."""
        serves = {"PORT": str(self.ports[role.serves])} if role.serves else {}
        return {
            **self.service_environment(role.service),
            **serves,
            "OPS_PORT": str(self.ports[role.ops]),
            **self.extra,
        }

    def service_environment(self, service: Service) -> dict[str, str]:
        """What all processes of a service share, its migration included."""
        return {
            "ENVIRONMENT": "local",
            "LOG_FORMAT": "json",
            "HOST": LOOPBACK,
            "DATABASE_URL": f"postgresql://{service.schema}_app@{self.database}",
            "MIGRATION_DATABASE_URL": f"postgresql://{service.schema}_owner@{self.database}",
            **self._further_databases(service),
            "REDIS_URL": self.redis_url,
            "SECRETS_DIR": str(self.secrets / service.name),
            "GATEWAY_URL": self.url("gateway"),
            "PUBLIC_URL": self.url("gateway"),
            "RISK_URL": self.url("risk"),
            "PIPELINE_URL": self.url("pipeline"),
            "CHANNELS_URL": self.url("channels"),
            "CARD_CHANNEL_URL": f"{self.url('channels')}/card",
            "CARD2_CHANNEL_URL": f"{self.url('channels')}/card2",
            "BANK_CHANNEL_URL": f"{self.url('channels')}/bank",
            "SANDBOX": "true",
            "WALLET_CHANNEL_URL": f"{self.url('channels')}/wallet",
            "CHANNEL_JOURNAL_DIR": str(self.channel_journal),
            "SETTLE_EVERY_S": "10",  # somebody is looking
            "CONSOLE_COOKIES_SECURE": "false",  # no TLS on loopback
            "WEBHOOK_ALLOW_PRIVATE": "true",  # on a laptop the merchant's endpoint is on loopback, too
        }

    def _further_databases(self, service: Service) -> dict[str, str]:
        """As VAULT_DATABASE_URL and VAULT_MIGRATION_DATABASE_URL."""
        return {
            f"{schema.upper()}_{variable}": f"postgresql://{schema}_{kind}@{self.database}"
            for schema in service.further_schemas
            for variable, kind in (("DATABASE_URL", "app"), ("MIGRATION_DATABASE_URL", "owner"))
        }

    def health_url(self, role: Role) -> str:
        """Where the process says whether it is ready."""
        return f"{self.url(role.serves or role.ops)}/health/ready"


def program(name: str) -> str:
    """Path of a script that is installed beside this interpreter."""
    return str(Path(sys.executable).parent / name)
