"""Who acts, and whether that person may: name and role are our own, read each time (ADR 144)."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.operators import Operator, Permission
from data_pipeline.operations.deps import Deps
from data_pipeline.store import operators
from platform_kit.problems import Problem


class MayNotAct(Problem):
    status, code, title = 403, "may-not-act", "Who acts may not do this"


async def admit_operator(deps: Deps, name: str, permission: Permission | None = None) -> Operator:
    """The operator of this name, when enabled and allowed to; None asks for no right. Raises MayNotAct."""
    async with deps.engine.connect() as conn:
        return await admitted(conn, name, permission)


async def admitted(conn: AsyncConnection, name: str, permission: Permission | None = None) -> Operator:
    """The same in a transaction of the act. Names are lower-case in the store, so one person has one name."""
    operator = await operators.enabled(conn, name)
    if operator is None:
        raise MayNotAct(
            "There is no enabled operator of this name: `data-pipeline operator add`, in lower case."
        )
    if permission is not None and not operator.may(permission):
        raise MayNotAct(f"The role {operator.role} may not {permission}.")
    return operator
