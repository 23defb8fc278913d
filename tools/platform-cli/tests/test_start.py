"""What each `platform` command pays before it does anything."""

import subprocess
import sys

HEAVY = {"asyncpg", "fsspec", "kubernetes", "opentelemetry", "pyarrow", "redis", "sqlalchemy", "valkey"}


def test_no_client_is_imported_before_a_command_needs_it() -> None:
    """They took three of the five seconds of CPU of `platform --help`. This process has them, so another is asked."""
    ask = "import sys, platform_cli.app; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(done.stdout.split()), HEAVY & set(done.stdout.split())
