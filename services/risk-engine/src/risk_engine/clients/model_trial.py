"""Try a model file in a process of its own before this one opens it.

LightGBM's parser does not refuse a file that is cut off in a tree: it ends the process (SIGABRT, SIGSEGV; seen with
4.7.0). In a trial that is an exit status, and the failure policy says what a missing model means. `python -m
risk_engine.clients.model_trial FILE` is the trial.
"""

import subprocess
import sys
from pathlib import Path

from risk_engine.clients.model import LightGbmScorer, ModelUnavailable, Scorer

TRIAL_MAX_S = 30.0  # a file of 146 kB takes a third of a second, most of it the start of Python


def open_model(model_file: Path) -> Scorer:
    """The scorer of `model.txt`, or of a `.onnx`. Raises ModelUnavailable."""
    if model_file.suffix == ".onnx":
        from risk_engine.clients.onnx_model import OnnxScorer  # here: NumPy and ONNX Runtime for nobody else

        return OnnxScorer.load(model_file)
    return LightGbmScorer.load(model_file)


def try_model(model_file: Path) -> None:
    """Load the file and score a row, elsewhere. Raises ModelUnavailable with what came of it."""
    command = [sys.executable, "-m", "risk_engine.clients.model_trial", str(model_file)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TRIAL_MAX_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise ModelUnavailable(f"{model_file.name}: no score within {TRIAL_MAX_S:.0f} s") from None
    if done.returncode < 0:
        raise ModelUnavailable(
            f"{model_file.name}: reading it ended the process with signal {-done.returncode}"
        )
    if done.returncode > 0:
        told = done.stderr.decode("ascii", "replace").strip().splitlines()  # its parser prints what it met
        raise ModelUnavailable(told[-1][:300] if told else f"{model_file.name}: no reason given")


def main() -> None:
    """The trial: exit 0 when the file loads and scores."""
    try:
        scorer = open_model(Path(sys.argv[1]))
        scorer.score([1.0] * len(scorer.features))
    except ModelUnavailable as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
