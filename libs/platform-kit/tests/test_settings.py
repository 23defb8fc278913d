"""Settings from the environment, with secrets as files."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from platform_kit.settings import ServiceSettings


def test_a_password_joins_the_redis_urls_that_have_none() -> None:
    settings = ServiceSettings(
        redis_url="redis://cache:6379/0", redis_password="p@ss/word", broker_url="redis://:own@broker:6379/1"
    )
    assert settings.streams == "redis://:p%40ss%2Fword@cache:6379/0"
    assert settings.broker == "redis://:own@broker:6379/1"


def test_a_password_joins_the_database_url_and_the_driver_is_ours() -> None:
    settings = ServiceSettings(database_url="postgresql://app@db:5432/platform", database_password="p@ss")
    assert (
        settings.asyncpg_url().render_as_string(hide_password=False)
        == "postgresql+asyncpg://app:p%40ss@db:5432/platform"
    )


def test_migrations_connect_as_the_owner() -> None:
    settings = ServiceSettings(
        database_url="postgresql://app@db/p", migration_database_url="postgresql://owner@db/p"
    )
    assert settings.asyncpg_url(for_migration=True).username == "owner"
    assert settings.asyncpg_url().username == "app"


def test_a_mounted_file_gives_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "internal_token").write_text("from-a-file\n")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    assert ServiceSettings.load().internal_token.get_secret_value() == "from-a-file"
    monkeypatch.setenv("INTERNAL_TOKEN", "from-the-environment")
    assert ServiceSettings.load().internal_token.get_secret_value() == "from-the-environment"


def test_a_wrong_value_stops_the_process_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "80000")
    with pytest.raises(ValidationError, match="port"):
        ServiceSettings.load()


def test_secrets_do_not_show_in_what_is_printed() -> None:
    assert "hush" not in repr(ServiceSettings(internal_token="hush", redis_password="hush"))
