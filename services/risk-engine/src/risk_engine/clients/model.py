"""The model: a LightGBM text file with JSON metadata, scored through the C API one row at a time.

`Booster.predict` costs 19 us a row and importing the Python package costs scipy; the C call costs 3 us and nothing
(risk.md 6, LightGBM #6913: the call is not in the Python API). The artefact is data, never a pickle, and is named by
the hash of both files. A model that does not load is a fault of the failure policy, not a crash.
"""

import ctypes
import hashlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from risk_engine.domain.features import FEATURES, MODEL_FEATURES
from risk_engine.domain.score import Calibration, Estimate, estimate_of

PACKAGED = Path(__file__).parent.parent / "packaged" / "model.txt"
_FLOAT64 = 1  # C_API_DTYPE_FLOAT64
_PREDICT_NORMAL, _PREDICT_CONTRIB = 0, 3  # C_API_PREDICT_NORMAL, C_API_PREDICT_CONTRIB


class ModelUnavailable(Exception):
    """The model could not be loaded or did not answer with a number."""


class Scorer(Protocol):
    """Anything that scores one row of its `features`."""

    @property
    def hash(self) -> str: ...

    @property
    def features(self) -> tuple[str, ...]: ...

    def estimate(self, row: list[float]) -> Estimate:
        """The calibrated probability. Raises ModelUnavailable."""
        ...

    def score(self, row: list[float]) -> int:
        """The same, 0 to 100. Raises ModelUnavailable."""
        ...


@runtime_checkable
class Explainer(Protocol):
    """A scorer that can also say what each feature did to a score."""

    @property
    def hash(self) -> str: ...

    @property
    def features(self) -> tuple[str, ...]: ...

    def contributions(self, row: list[float]) -> list[float]:
        """One number per feature: what it added to the trees' sum (log odds), by TreeSHAP. Raises ModelUnavailable."""
        ...


class LightGbmScorer:
    """One loaded model. Not thread-safe: the row and result buffers are reused, one scorer per process loop."""

    def __init__(self, model_text: str, metadata: dict[str, Any]) -> None:
        self.features = features_of(metadata)
        calibration = metadata["calibration"]
        self.metadata = metadata
        self.hash = model_hash(model_text, metadata)
        self._calibration = Calibration(tuple(calibration["raw"]), tuple(calibration["probability"]))
        self._booster = _NativeBooster(model_text, len(self.features))

    @classmethod
    def load(cls, model_file: Path) -> "LightGbmScorer":
        """Read `model.txt` and the `model.json` beside it. Raises ModelUnavailable with the reason."""
        try:
            metadata = json.loads(model_file.with_suffix(".json").read_text(encoding="utf-8"))
            return cls(model_file.read_text(encoding="utf-8"), metadata)
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
        """The trees' own output, before calibration: what `Booster.predict` answers."""
        return self._booster.predict(row)

    def contributions(self, row: list[float]) -> list[float]:
        """As `Booster.predict(pred_contrib=True)`, without its last number (the mean). 0.12 ms: not for the way
        of a decision."""
        return self._booster.contributions(row)[:-1]


def features_of(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of a model's inputs, in its order. Raises ModelUnavailable for one that nothing here computes."""
    named = tuple(metadata["features"])
    if unknown := [name for name in named if name not in FEATURES]:
        raise ModelUnavailable(
            f"the model was trained on features that this code does not compute: {unknown}"
        )
    return MODEL_FEATURES if named == MODEL_FEATURES else named  # the very object: its rows cost less


def model_hash(trees: str | bytes, metadata: dict[str, Any]) -> str:
    """SHA-256 over the trees and the canonical metadata: a new calibration is a new model."""
    canonical = json.dumps(metadata, sort_keys=True, separators=(",", ":"))
    content = trees.encode() if isinstance(trees, str) else trees
    return hashlib.sha256(content + b"\n" + canonical.encode()).hexdigest()


class _NativeBooster:
    """`LGBM_BoosterPredictForMatSingleRowFast` through ctypes."""

    def __init__(self, model_text: str, columns: int) -> None:
        self._library = _library()
        self._handle, self._fast, self._explains = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        iterations = ctypes.c_int(0)
        self._check(
            self._library.LGBM_BoosterLoadModelFromString(
                model_text.encode(), ctypes.byref(iterations), ctypes.byref(self._handle)
            )
        )
        found = ctypes.c_int(0)
        self._check(self._library.LGBM_BoosterGetNumFeature(self._handle, ctypes.byref(found)))
        if found.value != columns:
            raise ModelUnavailable(f"the trees read {found.value} columns, {columns} are computed")
        self._columns = columns
        self._row, self._length = (ctypes.c_double * columns)(), ctypes.c_int64()
        self._result, self._contributions = ctypes.c_double(), (ctypes.c_double * (columns + 1))()
        self._init_fast(_PREDICT_NORMAL, self._fast)

    def _init_fast(self, predict_type: int, config: ctypes.c_void_p) -> None:
        self._check(
            self._library.LGBM_BoosterPredictForMatSingleRowFastInit(
                self._handle, predict_type, 0, -1, _FLOAT64, ctypes.c_int32(self._columns), b"num_threads=1",
                ctypes.byref(config),
            )
        )  # fmt: skip

    def predict(self, row: list[float]) -> float:
        self._run(self._fast, row, ctypes.byref(self._result))
        return self._result.value

    def contributions(self, row: list[float]) -> list[float]:
        if not self._explains:
            self._init_fast(_PREDICT_CONTRIB, self._explains)
        self._run(self._explains, row, self._contributions)
        return list(self._contributions)

    def _run(self, config: ctypes.c_void_p, row: list[float], result: Any) -> None:
        if len(row) != self._columns:
            raise ModelUnavailable(f"{len(row)} values for {self._columns} columns")
        self._row[:] = row  # type: ignore[assignment]  # a list of float is what ctypes converts
        self._check(
            self._library.LGBM_BoosterPredictForMatSingleRowFast(
                config, self._row, ctypes.byref(self._length), result
            )
        )

    def _check(self, status: int) -> None:
        if status != 0:
            raise ModelUnavailable(self._library.LGBM_GetLastError().decode(errors="replace"))

    def __del__(self) -> None:
        for config in (getattr(self, "_fast", None), getattr(self, "_explains", None)):
            if config:
                self._library.LGBM_FastConfigFree(config)
        if getattr(self, "_handle", None):
            self._library.LGBM_BoosterFree(self._handle)


def _library() -> ctypes.CDLL:
    """The shared library inside the lightgbm wheel, found without importing the package (and with it scipy)."""
    spec = importlib.util.find_spec("lightgbm")
    found = sorted((Path(spec.origin).parent / "lib").glob("lib_lightgbm.*")) if spec and spec.origin else []
    if not found:  # .so on Linux, .dylib on macOS
        raise ModelUnavailable("the lightgbm package is not installed")
    try:
        library = ctypes.CDLL(str(found[0]))
    except OSError as error:  # a slim image without libgomp1 ends here
        raise ModelUnavailable(str(error)) from error
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    return library
