"""Settings of the payment gateway's processes."""

from __future__ import annotations

from pydantic import Field, SecretStr
from sqlalchemy.engine import URL

from platform_kit.settings import ServiceSettings, with_password

SERVICE = "payment-gateway"
PACKAGE = "payment_gateway"  # whose migrations make the schema


class Settings(ServiceSettings):
    """`PUBLIC_URL` is how channels reach us; `CHANNEL_SECRET` signs what they report."""

    risk_url: str = "http://127.0.0.1:8001"
    risk_deadline_s: float = Field(
        default=0.1, gt=0, description="later than this, the fallback policy decides"
    )
    card_channel_url: str = "http://127.0.0.1:8003/card"
    card2_channel_url: str = Field(
        default="http://127.0.0.1:8003/card2", description="a second acquirer to fail over to; empty = none"
    )
    bank_channel_url: str = Field(
        default="http://127.0.0.1:8003/bank", description="empty = no bank transfers"
    )
    wallet_channel_url: str = "http://127.0.0.1:8003/wallet"
    channel_timeout_s: float = Field(default=5.0, gt=0)
    sandbox: bool = Field(
        default=False, description="the channels are simulators: forward `metadata.sandbox_fault` to them"
    )
    routing_file: str = Field(
        default="", description="TOML of the routing rules; empty = those of the package"
    )
    routing_refresh_s: float = Field(default=10.0, gt=0, description="how old success rates may get")
    public_url: str = "http://127.0.0.1:8000"
    admin_api_key: SecretStr = SecretStr("")
    channel_secret: SecretStr = SecretStr("")
    webhook_allow_private: bool = Field(
        default=False, description="let webhooks go to private addresses (local only)"
    )
    webhook_timeout_s: float = Field(
        default=10.0, gt=0, le=20, description="with a run of 10 s it stays below the drain (35 s)"
    )
    hold_lifetime_s: int = Field(default=7 * 24 * 3600, gt=0, description="card holds last about a week")
    action_lifetime_s: int = Field(
        default=3600, gt=0, description="how long a payer may take over a challenge or a code"
    )
    idempotency_wait_s: float = Field(
        default=0, ge=0, le=10, description="how long a request waits whose key is at work; 0 = 409 at once"
    )

    # per API key and class, over all processes; a burst is two seconds of it
    rate_limit_reads_per_s: int = Field(default=1000, gt=0)
    rate_limit_writes_per_s: int = Field(default=1000, gt=0)
    rate_limit_local_share: float = Field(
        default=0.25, gt=0, le=1, description="what one process grants alone while Redis is away"
    )
    auth_failures_per_s: float = Field(
        default=10, gt=0, description="per client address and process: more is refused unread"
    )
    auth_failures_burst: int = Field(default=1000, gt=0)

    # the card vault: its own schema, roles and keys; without keys this process takes no card numbers
    vault_database_url: str | None = Field(default=None, description="as vault_app")
    vault_app_password: SecretStr | None = None
    vault_migration_database_url: str | None = Field(default=None, description="as vault_owner")
    vault_owner_password: SecretStr | None = None
    vault_keys: SecretStr = Field(default=SecretStr(""), description="id:base64,id:base64, the newest first")
    vault_fingerprint_key: SecretStr = SecretStr("")
    subjects_remembered_s: float = Field(
        default=60.0,
        ge=0,
        description="how long a process uses a subject's key; an erasure waits twice as long",
    )

    # the channel simulators' own process
    gateway_url: str = "http://127.0.0.1:8000"
    channel_journal_dir: str = ".platform/channels"

    def vault_url(self, *, for_migration: bool = False) -> URL:
        """The vault's database as its program, or as its owner. Raises ValueError when that is not set."""
        url = self.vault_migration_database_url if for_migration else self.vault_database_url
        if not url:
            raise ValueError("vault keys are set, and where the vault is, is not: set VAULT_DATABASE_URL")
        return with_password(url, self.vault_owner_password if for_migration else self.vault_app_password)
