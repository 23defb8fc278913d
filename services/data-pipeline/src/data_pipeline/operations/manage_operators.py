"""Add operators of the console, change them, list them. Done on the command line, by who may reach the database."""

from __future__ import annotations

import secrets
from typing import Any

from data_pipeline.domain.operators import PASSWORD_MIN, Operator, Role, hash_password, is_name, is_password
from data_pipeline.operations.deps import Deps
from data_pipeline.store import operators
from platform_kit.problems import InvalidRequest, NotFound


class InvalidOperator(InvalidRequest):
    code, title = "invalid-operator", "The operator is not acceptable"


class NameTaken(InvalidRequest):
    code, title = "name-taken", "There is an operator of this name"


async def add_operator(deps: Deps, name: str, role: Role, password: str) -> Operator:
    """Raises InvalidOperator or NameTaken."""
    if not is_name(name):
        raise InvalidOperator("A name has 2 to 40 of a-z, 0-9, dot, dash and underscore.")
    operator, password_hash = Operator(name, role), _hash(password)
    async with deps.engine.begin() as conn:
        if not await operators.add(conn, operator, password_hash):
            raise NameTaken()
    return operator


async def change_operator(
    deps: Deps, name: str, *, role: Role | None = None, password: str | None = None, is_disabled: bool = False
) -> None:
    """Change what is given, let in again unless `is_disabled`, end all sessions. Raises NotFound, InvalidOperator."""
    password_hash = None if password is None else _hash(password)
    async with deps.engine.begin() as conn:
        if not await operators.change(
            conn, name, role=role, password_hash=password_hash, is_disabled=is_disabled
        ):
            raise NotFound("There is no operator of this name.")


async def list_operators(deps: Deps) -> list[dict[str, Any]]:
    """Name, role, created, disabled, last log-in; never a hash."""
    async with deps.engine.connect() as conn:
        return await operators.everybody(conn)


def _hash(password: str) -> str:
    if not is_password(password):
        raise InvalidOperator(f"A password has at least {PASSWORD_MIN} characters.")
    return hash_password(password, secrets.token_bytes(16))
