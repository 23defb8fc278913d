"""Settings that every process of the platform has. Read from the environment; a secret may be a file instead.

With SECRETS_DIR set, a file named like a field (`database_password`) gives its value: Kubernetes mounts secrets
so, and nothing secret stands in the environment (PCI 8.6.2, CIS 5.4.1). The environment wins over the file.
"""

from __future__ import annotations

import os
from typing import Any, Literal, Self
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import URL, make_url


class ServiceSettings(BaseSettings):
    """Base of each service's frozen `Settings`; an invalid value stops the process at start."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    environment: str = "local"
    app_version: str = "dev"
    log_level: str = "INFO"
    log_format: Literal["json", "console"] = "json"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    ops_port: int = Field(
        default=0, ge=0, le=65535, description="metrics and health of this process; 0 = off"
    )
    drain_delay_s: float = Field(default=0, ge=0, description="keep serving this long after SIGTERM")
    request_body_max_bytes: int = Field(default=64 * 1024, ge=1024)
    overload_lag_s: float = Field(
        default=0.01, ge=0, description="shed while the loop is behind by more than this; 0 = never"
    )
    openapi: bool = Field(default=True, description="serve /openapi.json; off in production (S34)")

    database_url: str = "postgresql://localhost/platform"
    database_password: SecretStr | None = None
    database_pool_size: int = Field(default=5, ge=1, le=100)
    migration_database_url: str | None = None
    migration_database_password: SecretStr | None = None

    redis_url: str = "redis://127.0.0.1:6379/0"
    redis_password: SecretStr | None = None
    broker_url: str | None = None
    streams_url: str | None = None
    velocity_url: str | None = None

    internal_token: SecretStr = SecretStr("")
    otlp_endpoint: str | None = None

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Settings of this process. Raises pydantic.ValidationError naming each wrong field."""
        return cls(_secrets_dir=os.environ.get("SECRETS_DIR"), **overrides)

    def asyncpg_url(self, *, for_migration: bool = False) -> URL:
        """The database URL with driver and password filled in; the owner's for `migrate`."""
        if for_migration and self.migration_database_url:
            return with_password(self.migration_database_url, self.migration_database_password)
        return with_password(self.database_url, self.database_password)

    @property
    def broker(self) -> str:
        return self._redis(self.broker_url)

    @property
    def streams(self) -> str:
        return self._redis(self.streams_url)

    @property
    def limits(self) -> str:
        return self._redis(self.velocity_url)  # like the counters: all of it may be lost at any time

    @property
    def velocity(self) -> str:
        return self._redis(self.velocity_url)

    def _redis(self, url: str | None) -> str:
        parts = urlsplit(url or self.redis_url)
        if parts.password is None and self.redis_password is not None:
            password = quote(self.redis_password.get_secret_value(), safe="")
            parts = parts._replace(
                netloc=f"{parts.username or ''}:{password}@{parts.netloc.rpartition('@')[2]}"
            )
        return urlunsplit(parts)


def with_password(url: str, password: SecretStr | None) -> URL:
    """A database URL with our driver, and the password filled in where the URL has none."""
    parsed = make_url(url).set(drivername="postgresql+asyncpg")
    if parsed.password is None and password is not None:
        parsed = parsed.set(password=password.get_secret_value())
    return parsed
