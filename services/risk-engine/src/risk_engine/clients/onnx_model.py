"""The same model as ONNX: for processes that may not load LightGBM's library, and as a second opinion in tests.

Made from the text model by `make model-onnx`. Twice as slow for one row, and without contributions per feature; the
inputs are 32-bit floats, so a value within their rounding of a split may take the other branch.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from risk_engine.clients.model import ModelUnavailable, features_of, model_hash
from risk_engine.domain.score import Calibration, Estimate, estimate_of

INPUT, OUTPUT = "row", "probabilities"


class OnnxScorer:
    """One loaded model, one thread. Make it after a fork: ONNX Runtime's own threads do not survive one."""

    def __init__(self, model: bytes, metadata: dict[str, Any]) -> None:
        self.features = features_of(metadata)
        calibration = metadata["calibration"]
        self.metadata = metadata
        self.hash = model_hash(model, metadata)
        self._calibration = Calibration(tuple(calibration["raw"]), tuple(calibration["probability"]))
        self._session = _session(model)

    @classmethod
    def load(cls, model_file: Path) -> "OnnxScorer":
        """Read `model.onnx` and the `model.json` beside it. Raises ModelUnavailable with the reason."""
        try:
            metadata = json.loads(model_file.with_suffix(".json").read_text(encoding="utf-8"))
            return cls(model_file.read_bytes(), metadata)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelUnavailable(f"{model_file.name}: {type(error).__name__}: {error}") from error

    def estimate(self, row: list[float]) -> Estimate:
        """The calibrated probability. Raises ModelUnavailable."""
        try:
            return estimate_of(self._calibration, self.raw(row))
        except ValueError as error:
            raise ModelUnavailable(str(error)) from error

    def score(self, row: list[float]) -> int:
        """The same, 0 to 100. Raises ModelUnavailable."""
        return self.estimate(row).score

    def raw(self, row: list[float]) -> float:
        """The trees' own output, before calibration."""
        if len(row) != len(self.features):
            raise ModelUnavailable(f"{len(row)} values for {len(self.features)} columns")
        return float(self._session.run([OUTPUT], {INPUT: np.array([row], dtype=np.float32)})[0][0, 1])


def _session(model: bytes) -> Any:
    try:
        import onnxruntime  # in the extra `onnx`: the service's image has LightGBM
    except ImportError as error:
        raise ModelUnavailable("the onnxruntime package is not installed") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads would burn a core
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common class
        raise ModelUnavailable(f"{type(error).__name__}: {error}") from error
