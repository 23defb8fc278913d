"""`platform risk replay` and `platform risk verify`: is what was decided still what follows from what was stored?"""

from collections import Counter
from typing import Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from platform_cli.daily.telling import REFUSED, Json, console, errors, print_json
from platform_cli.risk.engine import engine_to_read

REPLAYED_AT_ONCE, CHECKED_AT_ONCE = 200, 500  # of one request: it shares the engine with live decisions


def replay(
    limit: Annotated[int, typer.Option("-n", min=1, help="oldest so many")] = 1_000_000,
    as_json: Json = False,
) -> None:
    """Decide stored decisions again from their rows and compare. Exit 1 when one comes out differently."""
    engine = engine_to_read()
    counted, left_out, differences = Counter[str](), Counter[str](), list[dict[str, Any]]()
    after: str | None = None
    with _following() as progress:
        task = progress.add_task("deciding again")
        while True:
            wanted = min(REPLAYED_AT_ONCE, limit - counted["replayed"])
            body = {"limit": wanted} | ({"after": after} if after else {})
            found = engine.change("POST", "/v1/replays", body)
            for name in ("replayed", "identical", "differing"):
                counted[name] += found[name]
            left_out.update(found["left_out"])
            differences += found["differences"]
            progress.update(task, description=f"{counted['replayed']:,} decided again")
            after = found["next_after"]
            if after is None or counted["replayed"] >= limit:
                break
    if as_json:
        print_json(dict(counted) | {"left_out": dict(left_out), "differences": differences})
    else:
        said = ", ".join(f"{number:,} {why.replace('_', ' ')}" for why, number in left_out.items())
        console.print(
            f"{counted['replayed']:,} decisions replayed: {counted['identical']:,} identical, "
            f"{counted['differing']:,} different, {sum(left_out.values()):,} left out"
            + (f" ({said})" if said else "")
        )
        for one in differences[:20]:
            errors.print(f"{one['id']}: {one['differs']}", markup=False, soft_wrap=True)
    raise typer.Exit(REFUSED if counted["differing"] else 0)


def verify(as_json: Json = False) -> None:
    """Recompute the hash chain over all assessments. Exit 1 where it breaks."""
    engine = engine_to_read()
    checked, after = 0, 0
    with _following() as progress:
        task = progress.add_task("recomputing")
        while True:
            found = engine.change("POST", "/v1/chain-checks", {"after": after, "limit": CHECKED_AT_ONCE})
            checked += found["checked"]
            progress.update(task, description=f"{checked:,} links recomputed")
            if found["broken_at"] is not None or found["next_after"] is None:
                break
            after = found["next_after"]
    if as_json:
        print_json({"checked": checked, "broken_at": found["broken_at"], "behind": found["behind"]})
    elif found["broken_at"] is None:
        console.print(f"the chain of {checked:,} assessments holds; {found['behind']:,} are not chained yet")
    else:
        errors.print(
            f"the chain breaks at position {found['broken_at']:,}: an assessment was changed or is gone"
        )
    raise typer.Exit(REFUSED if found["broken_at"] is not None else 0)


def _following() -> Progress:
    return Progress(SpinnerColumn(), TextColumn("{task.description}"), console=errors, transient=True)
