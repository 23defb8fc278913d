"""Make an ONNX model from the text model: `make model-onnx`.

    python -m risk_engine.operations.export_onnx --out FILE.onnx [--model FILE.txt]

ONNX is binary and repeats what the text says, so it is made, never committed. Needs the extra `training`.
"""

import argparse
import sys
from pathlib import Path

from risk_engine.clients.model import PACKAGED
from risk_engine.clients.onnx_model import INPUT

OPSET = 15  # with trees in `ai.onnx.ml` 1, which every runtime of the last years reads


def onnx_of(model_text: str) -> bytes:
    """The trees as one ONNX graph: a row of 32-bit floats in, probabilities of both classes out."""
    import lightgbm
    from onnxmltools.convert import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    booster = lightgbm.Booster(model_str=model_text)
    rows = FloatTensorType([None, booster.num_feature()])
    made = convert_lightgbm(booster, initial_types=[(INPUT, rows)], zipmap=False, target_opset=OPSET)
    content: bytes = made.SerializeToString()
    return content


def main(arguments: list[str]) -> None:
    """Write FILE.onnx, and the text model's metadata beside it: what MODEL_FILE needs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=PACKAGED)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(onnx_of(options.model.read_text(encoding="utf-8")))
    options.out.with_suffix(".json").write_bytes(options.model.with_suffix(".json").read_bytes())
    sys.stdout.write(f"{options.out}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
