"""The gate on stored decisions and their labels, with real model files."""

import json
import shutil
from pathlib import Path

import pytest
from risk_rig import a_subject

from risk_engine.clients.model import PACKAGED, ModelUnavailable
from risk_engine.domain import model_gate
from risk_engine.domain.labels import Label, LabelKind, LabelSource
from risk_engine.operations.assess_payment import assess_payment
from risk_engine.operations.deps import Deps
from risk_engine.operations.gate_model import gate_model
from risk_engine.store import labels


async def history(deps: Deps) -> None:
    """Customers who pay 10 euro, and for every fourth one payment of 400: those are the frauds."""
    said = []
    for n in range(40):
        amount = 40_000 if n % 8 == 7 else 1_000
        subject = a_subject(
            n, customer_id=f"c{n // 8}", amount_minor=amount, card=f"card-{n}", device=f"d-{n}"
        )
        made = (await assess_payment(deps, subject))["id"]
        kind = LabelKind.FRAUD if amount == 40_000 else LabelKind.LEGITIMATE
        said.append(Label(subject.payment_id, kind, LabelSource.UPLOAD, deps.clock.now(), "bob", made, None))
    async with deps.engine.begin() as conn:
        await labels.add(conn, said)


async def test_the_packaged_model_passes_against_itself_and_a_calibration_upside_down_does_not(
    deps: Deps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_gate, "LABELLED_MIN", 30)
    monkeypatch.setattr(model_gate, "FRAUDS_MIN", 3)
    await history(deps)
    same = await gate_model(deps, PACKAGED)
    assert (same.labelled, same.frauds, same.passes) == (40, 5, True)

    worse = tmp_path / "model.txt"
    shutil.copy(PACKAGED, worse)
    metadata = json.loads(PACKAGED.with_suffix(".json").read_text())
    metadata["calibration"]["probability"] = [0.9] * len(metadata["calibration"]["probability"])
    worse.with_suffix(".json").write_text(json.dumps(metadata))
    refused = await gate_model(deps, worse)
    assert not refused.passes
    assert any("alerts on 100.00%" in why for why in refused.refused)


async def test_what_cannot_score_is_not_judged(deps: Deps, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable):
        await gate_model(deps, tmp_path / "none.txt")
    assert not (await gate_model(deps, PACKAGED)).passes, "without labels nothing passes"
