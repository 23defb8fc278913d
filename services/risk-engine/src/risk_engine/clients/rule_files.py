"""Rule documents on disk: TOML (comments, readable quotes) or JSON (what the API takes)."""

import json
import tomllib
from pathlib import Path
from typing import Any

PACKAGED = Path(__file__).parent.parent / "packaged" / "default_rules.toml"


def read_rule_document(path: Path) -> dict[str, Any]:
    """The parsed document. Raises OSError or ValueError (with the parser's line and column)."""
    text = path.read_text(encoding="utf-8")
    document = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    if not isinstance(document, dict):
        raise ValueError("a rule document is an object")
    return document
