"""Alembic's entry: the schema `risk`."""

from platform_kit.migrations import run_env
from risk_engine.store.tables import metadata

run_env(metadata)
