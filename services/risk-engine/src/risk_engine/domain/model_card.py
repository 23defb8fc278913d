"""The model card: a page that says what a model was made of, what it is worth and what it must not be used for.

Made from the artefact's metadata alone, so the page cannot say other than the model (a test holds both together).
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from risk_engine.domain.features import FEATURES

LIMITS_OF_SIMULATED = """\
- It was trained and measured on **simulated payments**. On real card data average precision is several times lower:
  measure again before a threshold is trusted, and let the score review or challenge, never block alone.
- It sees a payment only against its customer's own 30 days. A customer without history gets the defaults, which look
  ordinary. Terminal, device, address and country are the rules' part.
- Scenario 1 (every amount above a line) is left out of training and of the figures; scenario 2 (a stolen terminal) is
  in the figures though no feature sees it.
- The labels are complete and right, seven days late. Life's are neither.
- No attribute of a person (name, age, nationality) is an input. Whether customers who pay rarely are treated unfairly
  has not been examined."""

LIMITS_OF_OWN = """\
- A payment of which nobody complained within the silent days counts as legitimate. Frauds that nobody noticed are
  learned as what is usual.
- Of the payments that it was calibrated on, the newest had a week for their labels, and many complaints take longer:
  scores are lower than the share of frauds will be in the end. The gate compares that with what is known now.
- What was blocked is left out, but for what was let through or labelled: the model knows least of what is blocked most.
- It sees a payment only against its customer's own 30 days. A customer without history gets the defaults, which look
  ordinary.
- No attribute of a person (name, age, nationality) is an input. Whether customers who pay rarely are treated unfairly
  has not been examined."""


def model_card(
    metadata: Mapping[str, Any],
    model_hash: str,
    *,
    made_by: str = "make model",
    limits: str = LIMITS_OF_SIMULATED,
) -> str:
    """Markdown, for docs/risk-model-card.md or beside a candidate."""
    trained, metrics = metadata["trained_on"], metadata["metrics"]
    recall = metrics["recall_at_score_50_by_scenario"]
    customers = f"; {trained['customers']:,} customers" if "customers" in trained else ""
    lines = [
        "# Model card",
        "",
        f"Written by `{made_by}` from the model itself; do not edit. How models are made and measured:",
        "[risk-model.md](risk-model.md).",
        "",
        "| | |",
        "|---|---|",
        f"| model | `{model_hash}` |",
        f"| kind | LightGBM {metadata['lightgbm']}, {metadata['rounds']} trees; text, and ONNX made from it |",
        "| use | score 0 to 100 of a payment: its probability of fraud in percent |",
        f"| data | {trained['source']}{customers} |",
        f"| data hash | `{trained['data_sha256']}` |",
        f"| trained on | {_period(trained, 'train_days')}: "
        f"{trained['train_rows']:,} payments, {trained['train_frauds']:,} frauds |",
        f"| calibrated on | {_period(trained, 'calibration_days')} |",
        f"| measured on | {_period(trained, 'test_days')}: "
        f"{metrics['rows']:,} payments, {metrics['frauds']:,} frauds |",
        "",
        "## Inputs",
        "",
        "| feature | is | without history | a larger value |",
        "|---|---|---|---|",
        *(
            f"| `{name}` | {FEATURES[name].about} | {metadata['defaults'][name]:g} "
            f"| {'never lowers the score' if name in metadata['only_raises'] else 'may do either'} |"
            for name in metadata["features"]
        ),
        "",
        "## Worth",
        "",
        "| | |",
        "|---|---|",
        f"| average precision | {metrics['average_precision']:.4f} |",
        f"| AUC | {metrics['auc']:.4f} |",
        f"| score of 50 and more | {metrics['alert_share_at_score_50']:.3%} of payments |",
        f"| of those, fraud | {metrics['precision_at_score_50'] or 0:.1%} |",
        *(
            f"| found at score 50, scenario {scenario} | {share:.1%} of its frauds |"
            for scenario, share in recall.items()
        ),
        f"| Brier score | {metrics['brier']:.6f} |",
        "",
        "## Calibration",
        "",
        "On the days measured: what the score said, and the share that was fraud.",
        "",
        "| score | payments | said | fraud |",
        "|---|---|---|---|",
        *(
            f"| {band['from']} to {band['from'] + 10} "
            f"| {band['payments']:,} | {band['said']:.1%} | {band['true']:.1%} |"
            for band in metrics["calibration_bands"]
        ),
        "",
        "## Limits",
        "",
        limits,
    ]
    return "\n".join(lines) + "\n"


def _period(trained: Mapping[str, Any], name: str) -> str:
    first, end = trained[name]
    start = date.fromisoformat(trained["starts_on"])
    return f"{start + timedelta(days=first)} to {start + timedelta(days=end - 1)}"
