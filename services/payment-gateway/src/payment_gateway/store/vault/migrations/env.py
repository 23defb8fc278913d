from payment_gateway.store.vault.tables import metadata
from platform_kit.migrations import run_env

run_env(metadata)
