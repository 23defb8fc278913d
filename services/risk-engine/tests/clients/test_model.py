"""The packaged model through the C API: equal to `Booster.predict`, and refused in words when it is not whole."""

import json
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_cli.stack.state import clone
from risk_engine.clients.model import PACKAGED, LightGbmScorer, ModelUnavailable, model_hash
from risk_engine.clients.model_trial import try_model
from risk_engine.domain.features import FEATURES, MODEL_FEATURES
from risk_engine.domain.model_card import model_card

ROWS = np.random.RandomState(5).gamma(1.2, 2.5, size=(2_000, len(MODEL_FEATURES)))


@pytest.fixture(scope="module")
def scorer() -> LightGbmScorer:
    return LightGbmScorer.load(PACKAGED)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The packaged artefact, to be damaged."""
    for suffix in (".txt", ".json"):
        (tmp_path / "model").with_suffix(suffix).write_text(PACKAGED.with_suffix(suffix).read_text())
    return tmp_path / "model.txt"


def edit(model_file: Path, **changes: Any) -> None:
    metadata_file = model_file.with_suffix(".json")
    metadata_file.write_text(json.dumps(json.loads(metadata_file.read_text()) | changes))


def test_one_row_through_the_c_api_is_what_predict_says(scorer: LightGbmScorer) -> None:
    expected = lightgbm.Booster(model_file=str(PACKAGED)).predict(ROWS)
    assert [scorer.raw(row) for row in ROWS.tolist()] == pytest.approx(expected, abs=1e-12)


def test_scores_are_whole_percents_and_reach_both_ends(scorer: LightGbmScorer) -> None:
    scores = {scorer.score(row) for row in ROWS.tolist()}
    assert scores <= set(range(101))
    usual = dict.fromkeys(MODEL_FEATURES, 1.0)
    odd = usual | {
        "amount_ratio_7d": 3.8,
        "amount_ratio_30d": 6.6,
        "customer_count_7d": 8.0,
        "customer_count_30d": 30.0,
        "mean_ratio_7d_30d": 1.7,
    }
    assert scorer.score(list(usual.values())) <= 2
    assert scorer.score(list(odd.values())) >= 40


RATIO = st.floats(0.01, 40)
ROW = st.tuples(
    RATIO, RATIO, RATIO, st.integers(1, 30), st.integers(0, 60), st.integers(0, 150), RATIO,
    st.booleans(), st.booleans(),
).map(lambda values: [float(value) for value in values])  # fmt: skip


@settings(max_examples=300)
@given(
    row=ROW,
    grows=st.lists(
        st.tuples(
            st.sampled_from([name for name in MODEL_FEATURES if FEATURES[name].only_raises]), st.floats(1, 5)
        ),
        min_size=1,
    ),
)
def test_more_or_larger_payments_never_lower_the_score(
    scorer: LightGbmScorer, row: list[float], grows: list[tuple[str, float]]
) -> None:
    """The monotone constraints of the training, for any payment and any features growing together."""
    larger = row.copy()
    for name, by in grows:
        larger[MODEL_FEATURES.index(name)] *= by
    assert scorer.raw(larger) >= scorer.raw(row) - 1e-12
    assert scorer.score(larger) >= scorer.score(row)


def test_contributions_are_lightgbms_own_and_add_up(scorer: LightGbmScorer) -> None:
    expected = lightgbm.Booster(model_file=str(PACKAGED)).predict(ROWS[:50], pred_contrib=True)
    for row, contributions in zip(ROWS[:50].tolist(), expected, strict=True):
        found = scorer.contributions(row)
        assert found == pytest.approx(contributions[:-1], abs=1e-9)
        log_odds = sum(found) + contributions[-1]
        assert 1 / (1 + np.exp(-log_odds)) == pytest.approx(scorer.raw(row), abs=1e-9)


def test_the_artefact_says_what_it_was_made_of(scorer: LightGbmScorer) -> None:
    assert scorer.metadata["trained_on"]["customers"] == 5_000
    assert scorer.metadata["metrics"]["average_precision"] > 0.2
    assert len(scorer.metadata["trained_on"]["data_sha256"]) == 64
    assert scorer.metadata["defaults"] == {name: FEATURES[name].default for name in MODEL_FEATURES}
    assert PACKAGED.stat().st_size < 300_000
    assert PACKAGED.read_text().startswith("tree\n")


def test_the_page_about_the_model_is_the_models_own() -> None:
    """`make model` writes it; who edits it, or commits another model without it, is told here."""
    scorer = LightGbmScorer.load(PACKAGED)
    card = (clone() / "docs" / "risk-model-card.md").read_text(encoding="utf-8")
    assert card == model_card(scorer.metadata, scorer.hash)


def test_no_part_of_the_artefact_is_a_pickle() -> None:
    for file in PACKAGED.parent.glob("model.*"):
        file.read_text(encoding="ascii")  # a pickle or an archive is no text


def test_a_new_calibration_is_a_new_model() -> None:
    assert model_hash("trees", {"a": 1, "b": 2}) == model_hash("trees", {"b": 2, "a": 1})
    assert model_hash("trees", {"a": 1}) != model_hash("trees", {"a": 2}) != model_hash("other", {"a": 2})


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="FileNotFoundError"):
        LightGbmScorer.load(tmp_path / "model.txt")


def test_damaged_metadata_is_told(copied: Path) -> None:
    copied.with_suffix(".json").write_text("{")
    with pytest.raises(ModelUnavailable, match="JSONDecodeError"):
        LightGbmScorer.load(copied)


def test_a_calibration_that_falls_is_refused(copied: Path) -> None:
    edit(copied, calibration={"raw": [0.1, 0.2], "probability": [0.5, 0.1]})
    with pytest.raises(ModelUnavailable, match="never decrease"):
        LightGbmScorer.load(copied)


def test_features_that_nothing_here_computes_are_refused_by_name(copied: Path) -> None:
    edit(copied, features=["age", *MODEL_FEATURES[1:]])
    with pytest.raises(ModelUnavailable, match="age"):
        LightGbmScorer.load(copied)


def test_a_model_may_name_features_of_its_own(copied: Path) -> None:
    names = ["amount", *MODEL_FEATURES[1:]]
    edit(copied, features=names)
    assert LightGbmScorer.load(copied).features == tuple(names)


def test_trees_of_another_width_are_refused(copied: Path) -> None:
    narrow = lightgbm.train(
        {"objective": "binary", "verbosity": -1},
        lightgbm.Dataset(ROWS[:, :3], ROWS[:, 0] > 2),
        num_boost_round=1,
    )
    copied.write_text(narrow.model_to_string())
    with pytest.raises(ModelUnavailable, match="read 3 columns"):
        LightGbmScorer.load(copied)


def test_a_row_of_another_width_is_refused(scorer: LightGbmScorer) -> None:
    with pytest.raises(ModelUnavailable, match="2 values"):
        scorer.score([1.0, 2.0])


def test_text_that_is_no_model_is_refused(copied: Path) -> None:
    copied.write_text("tree\nversion=v4\nnum_class=1\n")
    with pytest.raises(ModelUnavailable):
        LightGbmScorer.load(copied)


def test_a_model_with_inputs_of_its_own_passes_its_trial(tmp_path: Path) -> None:
    """The trial scores a row of as many values as the model names, not of as many as the packaged one has."""
    names = [*MODEL_FEATURES, "terminal_count_1d"]
    rows = np.random.RandomState(1).gamma(1.2, 2.5, size=(400, len(names)))
    trees = lightgbm.train(
        {"objective": "binary", "num_leaves": 4, "verbose": -1, "num_threads": 1},
        lightgbm.Dataset(rows, label=(rows[:, 0] > 3).astype(int)),
        num_boost_round=3,
    )
    model_file = tmp_path / "model.txt"
    trees.save_model(model_file)
    metadata = json.loads(PACKAGED.with_suffix(".json").read_text()) | {"features": names}
    model_file.with_suffix(".json").write_text(json.dumps(metadata))
    try_model(model_file)
    assert LightGbmScorer.load(model_file).features == tuple(names)
