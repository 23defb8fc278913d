"""Alembic's entry; the kit does the work."""

from data_pipeline.store.tables import metadata
from platform_kit.migrations import run_env

run_env(metadata)
