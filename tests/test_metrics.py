"""Figures against scikit-learn, closed forms and properties that hold for every input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as theirs

from omrgrade import metrics
from omrgrade.metrics import promised_threshold, risk_bound, risk_table

NAMES = [str(d) for d in range(10)]


@pytest.fixture
def guesses():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 10, 500)
    return truth, np.where(rng.random(500) < 0.8, truth, rng.integers(0, 10, 500))


def test_confusion_matrix_is_scikit_learns(guesses):
    np.testing.assert_array_equal(metrics.confusion_matrix(*guesses, 10), theirs.confusion_matrix(*guesses))


def test_report_is_scikit_learns_to_the_letter(guesses):
    ours = metrics.report_text(metrics.confusion_matrix(*guesses, 10), NAMES)
    assert ours == theirs.classification_report(*guesses, target_names=NAMES, digits=4)


def test_report_says_0_for_a_class_never_met_or_never_predicted():
    matrix = metrics.confusion_matrix(np.array([0, 0, 1]), np.array([0, 0, 0]), 3)
    ours = metrics.report_text(matrix, ["0", "1", "2"])
    assert ours == theirs.classification_report(
        [0, 0, 1], [0, 0, 0], labels=[0, 1, 2], digits=4, zero_division=0
    ).replace("micro avg", "accuracy")


def test_matrix_text_has_a_row_and_column_per_class(guesses):
    lines = metrics.matrix_text(metrics.confusion_matrix(*guesses, 10), NAMES).splitlines()
    assert [line.split()[0] for line in lines[1:]] == NAMES
    assert lines[0].split()[1:] == NAMES
    assert sum(int(n) for line in lines[1:] for n in line.split()[1:]) == 500


def test_log_loss_is_scikit_learns():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), 50)
    truth = rng.integers(0, 4, 50)
    assert metrics.log_loss(probabilities, truth) == pytest.approx(
        theirs.log_loss(truth, probabilities, labels=range(4))
    )


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_temperature_is_recovered_from_labels_drawn_with_it(temperature):
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 3, (20000, 5))
    noise = rng.gumbel(size=logits.shape)  # argmax of logits/T + Gumbel is a draw from the softmax
    truth = (logits / temperature + noise).argmax(axis=1)
    assert metrics.fit_temperature(logits, truth) == pytest.approx(temperature, rel=0.05)


@given(st.integers(0, 400), st.integers(0, 400))
def test_wilson_holds_the_share_inside_0_and_1(a, b):
    successes, total = min(a, b), max(a, b)
    low, high = metrics.wilson(successes, total)
    assert 0 <= low <= high <= 1
    if total:
        assert low - 1e-12 <= successes / total <= high + 1e-12


def test_wilson_of_a_known_case():
    assert metrics.wilson(10, 100) == pytest.approx((0.0552, 0.1744), abs=1e-4)
    assert metrics.wilson(0, 0) == (0.0, 1.0)


def test_reliability_finds_no_error_in_honest_and_the_whole_gap_in_dishonest_confidence():
    rng = np.random.default_rng(2)
    confidence = rng.random(100_000)
    honest = rng.random(100_000) < confidence
    assert metrics.reliability(confidence, honest).error < 0.01
    always_wrong = metrics.reliability(np.full(50, 0.9), np.zeros(50, bool))
    assert always_wrong.error == pytest.approx(0.9)
    assert always_wrong.count.sum() == 50


def test_risk_coverage_ends_at_everything_and_the_plain_error_rate():
    confidence = np.array([0.9, 0.5, 0.8, 0.6])
    correct = np.array([True, False, True, False])
    coverage, risk = metrics.risk_coverage(confidence, correct)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == pytest.approx([0, 0, 1 / 3, 0.5])


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=30), st.lists(st.integers(0, 6), min_size=1, max_size=30)
)
def test_auroc_is_scikit_learns_ties_included(positive, negative):
    ours = metrics.auroc(np.array(positive, float), np.array(negative, float))
    labels = [1] * len(positive) + [0] * len(negative)
    assert ours == pytest.approx(theirs.roc_auc_score(labels, positive + negative))


# ---------------------------------------------------------------- a promise about errors


def test_the_bound_is_the_exact_binomial_one():
    assert risk_bound(0, 2995) == pytest.approx(1 - 0.05 ** (1 / 2995))
    assert risk_bound(0, 0) == 1.0
    assert risk_bound(3, 1000) > 0.003


def test_the_threshold_is_the_laxest_that_keeps_the_promise():
    table = {
        "thresholds": [0.5, 0.9, 0.99, 0.999],
        "accepted": [9000, 8000, 7000, 50],
        "wrong": [90, 1, 0, 0],
    }
    assert promised_threshold(table, 0.001) == 0.9  # 50 accepted show nothing and are passed over
    assert promised_threshold(table, 0.02) == 0.5
    assert promised_threshold(table, 0.0001) is None  # three in 9000 could still be as bad


def test_a_failure_ends_a_search_even_if_laxer_thresholds_would_pass():
    thresholds = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99]
    wrong = [3, 60, 60, 60, 60, 60, 60, 0]  # in steps of two: 0.5 is met only after 0.6 has failed
    table = {"thresholds": thresholds, "accepted": [90000, *[6000] * 7], "wrong": wrong}
    assert promised_threshold(table, 0.001) == 0.99


def test_the_promise_is_kept_as_often_as_it_says():
    """Confidences that tell the truth: among 300 calibration sets, at most about 5 % break their promise."""
    rng = np.random.default_rng(0)
    broken = promised = 0
    for _ in range(300):
        confidence = 1 - 10 ** -rng.uniform(0.5, 4, 4000)
        table = risk_table(confidence, rng.random(4000) < confidence)
        threshold = promised_threshold(table, 0.005)
        if threshold is None:
            continue  # nothing promised, nothing broken
        promised += 1
        span = np.linspace(-np.log10(1 - threshold), 4, 2000)  # true error among the accepted
        broken += (10.0**-span).mean() > 0.005
    assert promised > 250
    assert broken <= 25
