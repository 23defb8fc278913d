"""What a risk-engine process reads from its environment, besides what every process of the platform reads."""

from pathlib import Path

from pydantic import Field, SecretStr

from platform_kit.settings import ServiceSettings

SERVICE = "risk-engine"
PACKAGE = "risk_engine"  # whose migrations make the schema


class Settings(ServiceSettings):
    """An invalid value stops the process at start."""

    port: int = Field(default=8001, ge=0, le=65535)
    request_body_max_bytes: int = Field(
        default=256 * 1024, ge=1024, description="a rule set of 500 rules fits"
    )
    gateway_url: str = Field(
        default="http://127.0.0.1:8000", description="events API, to fill gaps of the stream"
    )
    rules_file: Path | None = Field(
        default=None, description="first rule set, .toml or .json; empty = packaged"
    )
    model_file: Path | None = Field(
        default=None, description=".txt or .onnx with its .json beside it; empty = packaged"
    )
    ip_country_file: Path | None = Field(
        default=None, description="where addresses are, .mmdb or .csv; empty = only documentation ranges"
    )
    deadline_ms: int = Field(
        default=50, ge=5, le=1000, description="of one decision, then the failure policy answers"
    )
    velocity_timeout_ms: int = Field(default=25, ge=1, le=1000, description="Redis's share of the deadline")
    strangers_per_day_max: int = Field(
        default=5_000,  # 0.35 kB each for 37 days: 65 of the 192 MB that the chart gives Redis (docs/adr/0129)
        ge=0,
        description="cards, customers, devices and e-mail addresses that begin to be remembered in Redis: 13 kB each",
    )
    risk_fingerprint_keys: SecretStr = Field(
        default=SecretStr(""),
        description="id:secret,id:secret, the newest first: what e-mails, addresses and devices are named with",
    )
    commit_lanes: int = Field(default=1, ge=1, le=4, description="flushes in flight at once")
    let_through_bp: int = Field(
        default=0,
        ge=0,
        le=100,
        description="basis points of would-be blocks that are let through, to learn what becomes of them",
    )
    let_through_max_minor: int = Field(
        default=5_000, ge=0, description="up to this amount, in minor units of the reference currency"
    )
    let_through_per_hour_max: int = Field(
        default=20,
        ge=0,
        description="however many would be drawn: an attack that is blocked is drawn from, too",
    )
    four_eyes_from_minor: int = Field(
        default=100_000,
        ge=0,
        description="from this amount at stake, in minor units of the reference currency, two people decide; 0 = never",
    )
    risk_alert_channels: SecretStr = Field(
        default=SecretStr("[]"), description="who hears of alerts, a JSON list; see docs/risk-alerts.md"
    )
    risk_dead_man_url: SecretStr = Field(
        default=SecretStr(""), description="called every minute while alerting works; empty = off"
    )
