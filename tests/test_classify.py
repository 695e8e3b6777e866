"""A model is refused unless it is whole, its card fits, and the two belong together."""

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omrgrade.classify import calibrate, card_from_json, card_to_json, load_card, load_classifier
from omrgrade.errors import ModelError
from omrgrade.records import ModelCard
from omrgrade.resources import bundled

CARD = ModelCard(
    classes=tuple("0123456789"), normalizer=1, temperature=1.5, parameters=10, sha256="0" * 64, accuracy=0.99
)


@pytest.fixture(scope="module")
def classifier():
    return load_classifier()


@pytest.fixture
def model(tmp_path):
    """A private copy of the bundled model."""
    for name in ("digits.onnx", "digits.json"):
        shutil.copy(bundled("models", name), tmp_path)
    return tmp_path / "digits.onnx"


@pytest.fixture(scope="module")
def images():
    with np.load(bundled("models", "mnist.npz")) as archive:
        return archive["x_test"][:150], archive["y_test"][:150]


def test_bundled_model_reads_digits(classifier, images):
    probabilities = classifier.probabilities(images[0])
    assert probabilities.shape == (150, len(classifier.card.classes))
    assert probabilities.dtype == np.float32
    assert (probabilities[:, :10].argmax(axis=1) == images[1]).mean() > 0.97


def test_probabilities_are_the_calibrated_logits(classifier, images):
    logits = classifier.logits(images[0]).astype(float) / classifier.card.temperature
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.probabilities(images[0]), expected, atol=1e-6)


def test_an_image_reads_the_same_alone_and_in_company(classifier, images):
    together = classifier.logits(images[0])
    alone = np.concatenate([classifier.logits(images[0][n : n + 1]) for n in range(0, 150, 10)])
    np.testing.assert_allclose(alone, together[::10], atol=1e-4)


def test_no_images_give_no_rows(classifier):
    assert classifier.probabilities(np.empty((0, 28, 28), np.uint8)).shape == (
        0,
        len(classifier.card.classes),
    )


@pytest.mark.parametrize("wrong", [np.zeros((2, 28, 28), np.float32), np.zeros((28, 28), np.uint8)])
def test_images_of_another_form_are_refused(classifier, wrong):
    with pytest.raises(ValueError, match="uint8"):
        classifier.logits(wrong)


def test_missing_model(tmp_path):
    with pytest.raises(ModelError, match=r"nothing\.onnx.*cannot read"):
        load_classifier(tmp_path / "nothing.onnx")


def test_missing_card(model):
    model.with_suffix(".json").unlink()
    with pytest.raises(ModelError, match=r"digits\.json.*cannot read"):
        load_classifier(model)


@pytest.mark.parametrize("load", [load_classifier, load_card])
def test_damaged_model_differs_from_its_card(model, load):
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    with pytest.raises(ModelError, match="sha256 differs"):
        load(model)


def test_the_card_alone_is_the_loaded_models():
    assert load_card() == load_classifier().card


def test_model_that_is_no_onnx(model):
    model.write_bytes(b"not a network")
    edit(model, sha256=hashlib.sha256(b"not a network").hexdigest())
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_classifier(model)


def test_card_with_another_number_of_classes(model):
    classes = json.loads(model.with_suffix(".json").read_text())["classes"]
    digits = list("0123456789")
    edit(model, classes=digits if len(classes) == 11 else [*digits, "not_digit"])
    with pytest.raises(ModelError, match="one score for each"):
        load_classifier(model)


def edit(model, **changes):
    card = model.with_suffix(".json")
    card.write_text(json.dumps({**json.loads(card.read_text()), **changes}))


@given(
    temperature=st.floats(0.1, 10),
    notes=st.text(),
    thresholds=st.dictionaries(st.sampled_from(["accept", "blank"]), st.floats(0, 1)),
)
def test_card_survives_json(temperature, notes, thresholds):
    card = dataclasses.replace(CARD, temperature=temperature, notes=notes, thresholds=thresholds)
    assert card_from_json(card_to_json(card)) == card


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("temperature", 0),
        ("temperature", float("nan")),
        ("temperature", "1"),
        ("classes", ["0", "1"]),
        ("parameters", -1),
        ("sha256", "abc"),
        ("accuracy", 1.5),
        ("thresholds", {"accept": "high"}),
        ("normalizer", True),
    ],
)
def test_card_with_an_impossible_value_names_its_key(key, value):
    content = {**json.loads(card_to_json(CARD)), key: value}
    with pytest.raises(ModelError, match=key):
        card_from_json(json.dumps(content), where="card.json")


@pytest.mark.parametrize("text", ["", "[]", "{", '"text"'])
def test_text_that_is_no_card(text):
    with pytest.raises(ModelError, match="card"):
        card_from_json(text)


def test_card_without_a_key_and_with_an_unknown_one():
    content = json.loads(card_to_json(CARD))
    with pytest.raises(ModelError, match="temperature"):
        card_from_json(json.dumps({k: v for k, v in content.items() if k != "temperature"}))
    with pytest.raises(ModelError, match="colour"):
        card_from_json(json.dumps({**content, "colour": "red"}))


def test_higher_temperature_means_less_certain():
    logits = np.array([[2.0, 0.0, -1.0]], np.float32)
    cool, warm = calibrate(logits, 0.5), calibrate(logits, 2.0)
    assert cool[0, 0] > warm[0, 0] > 1 / 3
    np.testing.assert_allclose(warm.sum(axis=1), 1, atol=1e-6)


def test_importing_loads_no_runtime():
    code = "import sys, omrgrade.classify; print('onnxruntime' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False\n"
    )
