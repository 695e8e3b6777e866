"""From labelled boxes to a promise about errors."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

from omrgrade.classify import card_to_json, load_classifier
from omrgrade.cli import cli
from omrgrade.errors import ModelError
from omrgrade.pipeline import policy_for
from omrgrade.resources import bundled
from omrgrade.training.calibration import TEMPERATURE, calibration, simulated_boxes
from omrgrade.training.data import Labelled, load_mnist


@pytest.fixture(scope="module")
def digits():
    train = load_mnist().train
    return Labelled(images=train.images[:300], labels=train.labels[:300])


@pytest.fixture(scope="module")
def boxes_file(digits, tmp_path_factory):
    crops, truth = simulated_boxes(digits, 300)
    x = np.full((len(crops), 160, 160), 255, np.uint8)
    for place, crop in zip(x, crops, strict=True):
        height, width = crop.pixels.shape[:2]
        place[:height, :width] = crop.pixels
    path = tmp_path_factory.mktemp("boxes") / "own.npz"
    np.savez(path, x=x, y=truth, group=np.full(len(x), "mine"))
    return path


class Card:
    """A classifier of which only the card is asked."""

    def __init__(self, **changes):
        self.card = dataclasses.replace(load_classifier().card, **changes)


def test_simulated_boxes_hold_digits_empty_ones_and_other_ink(digits):
    crops, truth = simulated_boxes(digits, 200)
    assert len(crops) == len(truth)
    assert (truth >= 0).sum() >= 200 and set(truth[truth >= 0].tolist()) == set(range(10))
    assert (truth == -1).sum() > 0 and (truth == -2).sum() == 6
    again, labels = simulated_boxes(digits, 200)
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(crops, again, strict=True))
    assert np.array_equal(truth, labels)


def test_the_temperature_is_fitted_on_other_boxes_than_errors_are_counted_on(digits):
    one, _ = simulated_boxes(digits, 20, seed=TEMPERATURE)
    two, _ = simulated_boxes(digits, 20)
    assert not any(np.array_equal(a.pixels, b.pixels) for a, b in zip(one, two, strict=False))


def test_confidence_on_simulated_scans_is_true():
    """Expected calibration error of the bundled model, on test digits and seeds that fitted nothing."""
    test = load_mnist().test
    crops, truth = simulated_boxes(test, 2500, seed=77)
    assert calibration(crops, truth, load_classifier(), "here")["calibration_error"] <= 0.01


def test_the_table_counts_what_each_threshold_accepts(digits):
    crops, truth = simulated_boxes(digits, 300)
    table = calibration(crops, truth, load_classifier(), "here")
    assert table["boxes"] == len(crops) and table["source"] == "here"
    accepted, wrong = np.array(table["accepted"]), np.array(table["wrong"])
    assert (np.diff(accepted) <= 0).all() and (np.diff(wrong) <= 0).all() and (wrong <= accepted).all()
    assert accepted[0] > 0.9 * (truth >= 0).sum()  # nearly all digits are read at all


def test_max_error_takes_its_threshold_from_the_card():
    table = {"thresholds": [0.5, 0.9, 0.99], "accepted": [9000, 8000, 7000], "wrong": [90, 1, 0]}
    classifier = Card(calibration=table)
    assert policy_for(classifier, max_error=0.001).accept == 0.9
    assert policy_for(classifier, max_error=0.02).accept == 0.5
    assert not policy_for(classifier, max_error=0.02).beside  # the promise is of boxes one by one
    with pytest.raises(ModelError, match="omrgrade calibrate"):
        policy_for(classifier, max_error=0.0001)
    with pytest.raises(ModelError, match="calibrate"):
        policy_for(Card(calibration={}), max_error=0.5)


def test_calibrate_writes_the_same_model_with_a_new_card(boxes_file, tmp_path):
    result = CliRunner().invoke(cli, ["calibrate", str(boxes_file), "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "digits.onnx").read_bytes() == bundled("models", "digits.onnx").read_bytes()
    card = json.loads((tmp_path / "digits.json").read_text())
    assert card["calibration"]["source"] == "own.npz" and card["calibration"]["boxes"] > 300
    assert "--max-error 0.0005: cannot be promised from so few boxes" in result.output
    assert load_classifier(tmp_path / "digits.onnx").card.calibration == card["calibration"]


def test_a_card_with_a_crooked_table_is_refused(tmp_path):
    card = Card(calibration={"thresholds": [0.5], "accepted": [1, 2], "wrong": [0]}).card
    (tmp_path / "digits.onnx").write_bytes(bundled("models", "digits.onnx").read_bytes())
    (tmp_path / "digits.json").write_text(card_to_json(card))
    with pytest.raises(ModelError, match="calibration"):
        load_classifier(tmp_path / "digits.onnx")


def test_accept_and_max_error_exclude_each_other(tmp_path):
    arguments = ["grade", str(tmp_path), "-t", "numeric-a4", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(cli, [*arguments, "--accept", "0.9", "--max-error", "0.01"])
    assert result.exit_code == 2
