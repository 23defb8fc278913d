"""The ONNX model is the text model: equal on thousands of rows, and refused in words when it is not whole."""

from pathlib import Path

import numpy as np
import pytest
from risk_rig import settings_for

from risk_engine.clients.model import PACKAGED, LightGbmScorer, ModelUnavailable
from risk_engine.clients.onnx_model import OnnxScorer
from risk_engine.domain.features import MODEL_FEATURES
from risk_engine.operations.deps import load_scorer
from risk_engine.operations.export_onnx import main as export

TOLERANCE = 1e-6  # 32-bit sums over 80 trees; 2.4e-7 was the most that 20,000 rows showed


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("model") / "model.onnx"
    export(["--out", str(file)])
    return file


def rows() -> list[list[float]]:
    """5,000 rows like life's: ratios around one with a long tail, whole counts, flags; exact in 32 bits."""
    rng = np.random.RandomState(11)
    ratios = rng.lognormal(0, 0.8, size=(5_000, 4))
    counts = rng.poisson((2, 12, 50), size=(5_000, 3)) + 1
    flags = rng.randint(0, 2, size=(5_000, 2))
    made = np.column_stack([ratios[:, :3], counts, ratios[:, 3], flags]).astype(np.float32)
    assert made.shape[1] == len(MODEL_FEATURES)
    return made.astype(np.float64).tolist()


def test_both_forms_of_the_model_say_the_same(onnx_file: Path) -> None:
    text, onnx = LightGbmScorer.load(PACKAGED), OnnxScorer.load(onnx_file)
    pairs = [(text.raw(row), onnx.raw(row)) for row in rows()]
    assert max(abs(one - other) for one, other in pairs) < TOLERANCE
    assert np.ptp([one for one, _ in pairs]) > 0.9  # rows of all kinds, not one leaf
    scores = [(text.score(row), onnx.score(row)) for row in rows()[:500]]
    assert max(abs(one - other) for one, other in scores) <= 1  # rounding to whole percents


def test_the_model_file_decides_which_engine_scores(onnx_file: Path) -> None:
    settings = settings_for("postgresql://nowhere", "redis://nowhere", model_file=onnx_file)
    assert isinstance(load_scorer(settings), OnnxScorer)
    assert isinstance(load_scorer(settings.model_copy(update={"model_file": None})), LightGbmScorer)


def test_it_is_a_model_of_its_own(onnx_file: Path) -> None:
    """A decision names the file that scored it; both hashes change with the calibration."""
    assert OnnxScorer.load(onnx_file).hash != LightGbmScorer.load(PACKAGED).hash


def test_bytes_that_are_no_model_are_refused(onnx_file: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "model.onnx"
    damaged.write_bytes(onnx_file.read_bytes()[:1_000])
    damaged.with_suffix(".json").write_bytes(onnx_file.with_suffix(".json").read_bytes())
    with pytest.raises(ModelUnavailable):
        OnnxScorer.load(damaged)


def test_a_row_of_another_width_is_refused(onnx_file: Path) -> None:
    with pytest.raises(ModelUnavailable, match="2 values"):
        OnnxScorer.load(onnx_file).score([1.0, 2.0])


def test_without_the_runtime_it_is_told(onnx_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ModelUnavailable, match="not installed"):
        OnnxScorer.load(onnx_file)
