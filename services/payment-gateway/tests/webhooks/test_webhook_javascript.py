"""What we sign is verified in JavaScript: by the function of docs/webhooks.md, and by `standardwebhooks` of npm."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Final

import pytest

from payment_gateway.domain.webhook import new_secret
from payment_gateway.domain.webhook_keys import Keys, headers_of, new_private_key

ROOT: Final = Path(__file__).parents[4]
PACKAGE: Final = "standardwebhooks@1.0.0"
MODULES: Final = ROOT / ".platform/node"  # kept between runs: the registry is asked once
BODY: Final = '{"id": "evt_1", "data": {"name": "Zo\u00eb \u2013 \u20ac"}}'

# Each case, and what either verifier says of it: accepted or not.
HARNESS: Final = """
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { verify } from "./page.mjs";

const cases = JSON.parse(readFileSync(0, "utf8"));
const { Webhook } = process.argv[2] ? createRequire(process.argv[2])("standardwebhooks") : {};
const accepts = (attempt) => { try { attempt(); return true; } catch { return false; } };
console.log(JSON.stringify(cases.map(({ secret, headers, body }) => {
  const bytes = Buffer.from(body, "utf8");
  return accepts(() => Webhook ? new Webhook(secret).verify(bytes, headers) : verify(secret, headers, bytes));
})));
"""


def cases() -> list[tuple[bool, dict[str, Any]]]:
    """Whether it must be accepted, and the delivery as its receiver has it."""
    old, new, stranger = (Keys(new_secret(), new_private_key()) for _ in range(3))
    now_s = int(time.time())
    signed = headers_of([new, old], "evt_1", now_s, BODY.encode())

    def case(keys: Keys, headers: dict[str, str], body: str = BODY) -> dict[str, Any]:
        return {"secret": keys.secret, "headers": headers, "body": body}

    return [
        (True, case(new, signed)),
        (True, case(old, signed)),
        (True, case(new, headers_of([new], "evt_1", now_s - 290, BODY.encode()))),
        (False, case(stranger, signed)),
        (False, case(new, signed, BODY + " ")),
        (False, case(new, signed | {"webhook-id": "evt_2"})),
        (False, case(new, signed | {"webhook-timestamp": str(now_s + 1)})),
        (False, case(new, signed | {"webhook-timestamp": "soon"})),
        (False, case(new, signed | {"webhook-signature": "v1, v1a,AAAA"})),
        (False, case(new, headers_of([new], "evt_1", now_s - 310, BODY.encode()))),
        (False, case(new, headers_of([new], "evt_1", now_s + 310, BODY.encode()))),
    ]


def verdicts(directory: Path, given: list[dict[str, Any]], library: Path | None = None) -> list[bool]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("THE JAVASCRIPT VERIFIER WAS NOT RUN: there is no `node` on this machine's PATH")
    (page,) = re.findall(r"^```js\n(.*?)^```$", (ROOT / "docs/webhooks.md").read_text(), re.M | re.S)
    (directory / "page.mjs").write_text(page)
    (directory / "harness.mjs").write_text(HARNESS)
    run = subprocess.run(
        [node, "harness.mjs", *([str(library)] if library else [])],
        cwd=directory, input=json.dumps(given), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    said: list[bool] = json.loads(run.stdout)
    return said


@pytest.fixture(scope="session")
def npm_library() -> Path:
    """A file from whose place node finds the library."""
    if not (MODULES / "node_modules/standardwebhooks").is_dir():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("THE NPM LIBRARY WAS NOT RUN: there is no `npm` on this machine's PATH")
        MODULES.mkdir(parents=True, exist_ok=True)
        run = subprocess.run(
            [npm, "install", "--no-save", "--no-audit", "--no-fund", "--prefix", str(MODULES), PACKAGE],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        if run.returncode:
            pytest.skip(f"THE NPM LIBRARY WAS NOT RUN: npm cannot fetch {PACKAGE}: {run.stderr[-300:]}")
    return MODULES / "index.js"


def test_the_pages_javascript_accepts_ours_and_refuses_what_was_bent(tmp_path: Path) -> None:
    expected, given = zip(*cases(), strict=True)
    assert verdicts(tmp_path, list(given)) == list(expected)


def test_the_npm_library_says_the_same(tmp_path: Path, npm_library: Path) -> None:
    expected, given = zip(*cases(), strict=True)
    assert verdicts(tmp_path, list(given), npm_library) == list(expected)
