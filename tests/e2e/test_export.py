"""A file is asked of one process, made by another and downloaded from the first: all see one place."""

import asyncio
import csv
import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize("form", ["csv", "parquet"])
async def test_a_payment_is_in_the_exported_file(
    merchant: Any, pipeline: Any, platform: Any, eventually: Any, tmp_path: Path, form: str
) -> None:
    """By the command that people use, which checks the file against its manifest."""
    if not platform.internal_token or not os.environ.get("CONSOLE_OPERATOR"):
        pytest.skip("INTERNAL_TOKEN or CONSOLE_OPERATOR is not set: nobody can ask for an export")
    paid = (await merchant.pay(amount_minor=1717)).body
    out = tmp_path / f"payments.{form}"

    async def exported() -> bool:
        command = ("data", "export", "payments", "--format", form, "--merchant", paid["merchant_id"])
        made = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "platform_cli.app", *command, "--out", str(out)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await made.communicate()
        assert made.returncode == 0, said.decode()
        return bool(rows(out, form))

    await eventually(exported, "the payment does not come into the warehouse", every_s=1)
    assert [(row["payment_id"], int(row["amount_minor"])) for row in rows(out, form)] == [(paid["id"], 1717)]


def rows(file: Path, form: str) -> list[dict[str, Any]]:
    if form == "csv":
        return list(csv.DictReader(io.StringIO(file.read_text())))
    import pyarrow.parquet

    found: list[dict[str, Any]] = pyarrow.parquet.read_table(file).to_pylist()
    return found
