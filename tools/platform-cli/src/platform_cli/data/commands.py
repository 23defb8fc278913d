"""`platform data …`: what is done by hand with the data pipeline."""

import typer

from platform_cli.daily.telling import told
from platform_cli.data.archive import archive_commands
from platform_cli.data.breaks import break_commands
from platform_cli.data.quality import quality
from platform_cli.data.quarantine import quarantine_commands
from platform_cli.data.replay import replay_commands
from platform_cli.data.reports import add_report_commands
from platform_cli.data.settlements import settlement_commands


def data_commands() -> typer.Typer:
    """`data …`, each command under its own name."""
    group = typer.Typer(
        help="The data pipeline: reports, exports, breaks, settlements, what was set aside, archive, replay, quality.",
        no_args_is_help=True,
    )
    group.add_typer(quarantine_commands(), name="quarantine")
    group.add_typer(archive_commands(), name="archive")
    group.add_typer(replay_commands(), name="replay")
    group.add_typer(break_commands(), name="breaks")
    group.command("quality")(told(quality))
    group.add_typer(settlement_commands(), name="settlements")
    add_report_commands(group)
    return group
