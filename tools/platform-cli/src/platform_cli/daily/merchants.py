"""Merchants, administered: with ADMIN_API_KEY."""

from typing import Annotated

import typer

from platform_cli.daily.telling import Json, admin_gateway, console, print_json, told


def merchant_commands() -> typer.Typer:
    """`merchants create`."""
    group = typer.Typer(no_args_is_help=True, help="Merchants; needs ADMIN_API_KEY.")
    group.command("create")(told(create))
    return group


def create(
    name: Annotated[str, typer.Argument(help="such as 'Corner shop'")],
    country: Annotated[str, typer.Option(help="two letters")] = "DE",
    as_json: Json = False,
) -> None:
    """A merchant and its first API key, which is shown this once."""
    made = admin_gateway().change("POST", "/v1/merchants", {"name": name, "country": country.upper()})
    if as_json:
        print_json(made)
    else:
        console.print(f"{made['id']}  {name}\nDEMO_API_KEY={made['api_key']}", soft_wrap=True)
