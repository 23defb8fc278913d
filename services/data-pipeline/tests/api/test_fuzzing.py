"""The pipeline's API under schemathesis, over a seeded day."""

from __future__ import annotations

from pathlib import Path

import pytest
from pipeline_rig import TOKEN
from running_service import Service, employ
from seeded_day import Seeded

from platform_cli.embedded.fuzzing import EXAMPLES, fuzz


@pytest.mark.timeout(max(600, EXAMPLES * 30))
async def test_every_answer_is_one_that_the_document_promises(
    service: Service, seeded: Seeded, tmp_path: Path
) -> None:
    await employ(service.deps, ada="admin")  # the example of the document
    found = await fuzz(service.url, {"internalToken": TOKEN}, directory=tmp_path, examples=4, weight=3)
    assert found.passed, found.told
    assert found.cases >= 50, found.told
