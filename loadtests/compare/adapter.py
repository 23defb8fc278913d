"""What has to be known of a system to compare its ledger: four functions in a Python file. Nothing else of it is known.

    NAME = "theirs"

    def prepare(call, accounts, currency):      make accounts 0 … accounts-1 that may go below zero; returns anything
    def transfer(made, debit, credit, amount_minor, key):       (method, path, headers, body) of one transfer
    def is_done(status, body):                  True: acknowledged. False: refused, or ask again with the key
    def balances(call, made, accounts):         list of credits minus debits of each account, in minor units

`call(method, path, headers, body)` gives (status, bytes) and is for the two that are not measured. Optional:
`count(call, made)`, how many transfers the system has of this run, and `URL`, where it is when nobody says otherwise.
"""

import importlib.util
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from loadtests.strict import WrongFile

NEEDED = ("NAME", "prepare", "transfer", "is_done", "balances")
SHIPPED = Path(__file__).parent / "adapters"
Call = Callable[..., tuple[int, bytes]]


def read_adapter(name: str) -> ModuleType:
    """A shipped one by its name, or a file. Raises WrongFile naming what it lacks."""
    file = Path(name) if name.endswith(".py") else SHIPPED / f"{name}.py"
    if not file.is_file():
        shipped = sorted(one.stem for one in SHIPPED.glob("*.py") if one.stem != "__init__")
        raise WrongFile(f"there is no adapter {name}; shipped are {', '.join(shipped)}")
    spec = importlib.util.spec_from_file_location(f"ledger_adapter_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for needed in NEEDED:
        if not hasattr(module, needed):
            near = get_close_matches(needed, dir(module), n=1)
            hint = f"; is {near[0]!r} meant to be it?" if near else ""
            raise WrongFile(f"{file.name}: {needed!r} is missing{hint}")
    return module


def caller(base_url: str, timeout_s: float = 30.0) -> Call:
    """For what is not measured."""

    def call(
        method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> tuple[int, Any]:
        request = Request(base_url + path, body, headers or {}, method=method)  # noqa: S310 - the user's address
        try:
            with urlopen(request, timeout=timeout_s) as reply:  # noqa: S310
                return reply.status, reply.read()
        except HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read()

    return call
