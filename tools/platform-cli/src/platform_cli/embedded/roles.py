"""The roles of the database, by name, and the file that makes them. Quick to import: every command does."""

from pathlib import Path

ROLES = (
    *(
        f"{schema}_{kind}"
        for schema in ("payments", "risk", "pipeline", "vault")
        for kind in ("owner", "app")
    ),
    "platform_backup",
)


def roles_file(start: Path | None = None) -> Path:
    """The one source of roles and grants, in the clone that this package is installed from."""
    for place in (start or Path(__file__)).resolve().parents:
        candidate = place / "umbrella-chart" / "charts" / "postgres" / "files" / "roles.sql"
        if candidate.is_file():
            return candidate
    raise FileNotFoundError("umbrella-chart/charts/postgres/files/roles.sql: run from a clone")
