"""`omrgrade train` and `omrgrade evaluate`: gates, files, JSON contract, bad input."""

import json
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from omrgrade.classify import load_classifier
from omrgrade.cli import cli
from omrgrade.errors import DatasetError, MissingExtraError, ModelError
from omrgrade.resources import bundled
from omrgrade.training.data import load_mnist
from omrgrade.training.extra import check_better
from omrgrade.training.paper import write_box
from omrgrade.training.styles import styles

MODEL_FILES = ["digits.json", "digits.keras", "digits.onnx"]


@pytest.fixture(scope="session")
def small_mnist(tmp_path_factory):
    """A few hundred real digits in MNIST's layout."""
    path = tmp_path_factory.mktemp("data") / "small.npz"
    with np.load(bundled("models", "mnist.npz")) as full:
        np.savez(path, **{k: full[k][: 600 if k.endswith("train") else 200] for k in full.files})
    return path


def run(*arguments):
    return CliRunner().invoke(cli, [str(a) for a in arguments])


@pytest.fixture(scope="session")
def trained(small_mnist, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return folder, run(
        "train",
        "--data",
        small_mnist,
        "--network",
        "seed",
        "--epochs",
        3,
        "--min-accuracy",
        0.5,
        "-o",
        folder,
    )


def test_train_installs_model_card_and_figures_and_prints_the_report(trained):
    folder, result = trained
    assert result.exit_code == 0, result.output
    assert "precision" in result.output and "true\\pred" in result.output
    figures = ["confusion_matrix.png", "learning_curves.png", "reliability.png", "risk_coverage.png"]
    assert sorted(p.name for p in folder.iterdir()) == sorted([*MODEL_FILES, *figures])
    card = json.loads((folder / "digits.json").read_text())
    assert card["training"]["network"] == "seed"
    assert card["training"]["images"] == 600
    assert card["training"]["export_difference"] <= 1e-4
    assert card["parameters"] == 225034


def test_the_installed_network_has_8_bits_unless_32_are_asked_for(trained, small_mnist, tmp_path):
    options = ("--data", small_mnist, "--min-accuracy", 0.5, "-o", tmp_path)
    result = run("train", "--average", trained[0] / "digits.keras", "--bits", 32, *options)
    assert result.exit_code == 0, result.output
    ints, floats = (load_classifier(folder / "digits.onnx") for folder in (trained[0], tmp_path))
    assert (ints.card.training["bits"], floats.card.training["bits"]) == (8, 32)
    sizes = [(folder / "digits.onnx").stat().st_size for folder in (trained[0], tmp_path)]
    assert sizes[0] < 0.4 * sizes[1]
    assert abs(ints.card.accuracy - floats.card.accuracy) < 0.02


def test_evaluate_agrees_with_the_card(trained, small_mnist):
    folder, _ = trained
    result = run("evaluate", folder / "digits.onnx", "--data", small_mnist, "--min-accuracy", 0, "--json")
    found = json.loads(result.output)
    card = json.loads((folder / "digits.json").read_text())
    assert found["accuracy"] == card["accuracy"]
    assert found["parameters"] == card["parameters"]
    assert np.sum(found["confusion_matrix"]) == 200
    assert np.trace(found["confusion_matrix"]) == round(200 * found["accuracy"])
    assert {"precision", "recall", "f1", "support"} == found["per_class"]["7"].keys()
    assert found["loss"] > 0


def test_a_model_below_the_bar_leaves_the_old_one_untouched(trained, small_mnist, tmp_path):
    for name in MODEL_FILES:
        (tmp_path / name).write_text(f"old {name}")
    result = run(
        "train", "--data", small_mnist, "--network", "seed", "--epochs", 1, "--limit", 50, "-o", tmp_path
    )
    assert isinstance(result.exception, ModelError)
    assert result.exception.exit_code == 3
    assert "0.98" in str(result.exception) and "untouched" in str(result.exception)
    assert sorted(p.name for p in tmp_path.iterdir()) == MODEL_FILES
    assert all((tmp_path / name).read_text() == f"old {name}" for name in MODEL_FILES)


def test_evaluate_below_the_bar_prints_its_figures_and_fails(trained, small_mnist):
    folder, _ = trained
    result = run("evaluate", folder / "digits.onnx", "--data", small_mnist, "--min-accuracy", 1)
    assert isinstance(result.exception, ModelError)
    assert "precision" in result.output
    assert "bar of 1.0" in str(result.exception)


def test_exit_code_and_one_line_on_stderr(tmp_path):
    code = "from omrgrade.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "evaluate", str(tmp_path / "no.onnx")], capture_output=True, text=True
    )
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1


def test_evaluate_loads_no_tensorflow(small_mnist):
    code = (
        "import sys; from click.testing import CliRunner; from omrgrade.cli import cli\n"
        f"r = CliRunner().invoke(cli, ['evaluate', '--data', {str(small_mnist)!r}])\n"
        "assert r.exit_code == 0, r.output\n"
        "print({'tensorflow', 'keras', 'sklearn', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_train_without_tensorflow_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = run("train")
    assert isinstance(result.exception, MissingExtraError)
    assert "omrgrade[train]" in str(result.exception)


@pytest.fixture
def boxes(tmp_path):
    """Digits drawn dark on light without an outline, two empty boxes, one tally; two papers."""
    with np.load(bundled("models", "mnist.npz")) as full:
        x, y = 255 - np.kron(full["x_test"][:20], np.ones((2, 2), np.uint8)), full["y_test"][:20].astype(int)
    empty = np.full((2, 56, 56), 255, np.uint8)
    tally = np.full((1, 56, 56), 255, np.uint8)
    tally[0, 10:46, 10:50:10] = 0
    arrays = {
        "x": np.concatenate([x, empty, tally]),
        "y": np.concatenate([y, [-1, -1, -2]]),
        "group": np.array(["a"] * 20 + ["b"] * 3),
    }
    path = tmp_path / "boxes.npz"
    np.savez(path, **arrays)
    return path, arrays


def test_boxes_json_is_the_contract(boxes):
    found = json.loads(run("evaluate", "--boxes", boxes[0], "--json").output)
    rates = {
        "digits", "accuracy", "accepted_correct_rate", "substitution_rate", "reject_rate",
        "blanks", "blank_correct_rate", "blank_as_digit_rate", "not_digits", "not_digit_accepted_rate",
    }  # fmt: skip
    assert rates | {"groups", "calibration_error"} == found.keys()
    assert (found["digits"], found["blanks"], found["not_digits"]) == (20, 2, 1)
    assert found["groups"].keys() == {"a", "b"}
    assert found["groups"]["a"].keys() == found["groups"]["b"].keys() == rates
    assert found["groups"]["a"]["blank_correct_rate"] is None
    assert found["groups"]["b"]["accuracy"] is None
    assert found["accuracy"] >= 0.9
    assert found["blank_correct_rate"] == 1
    parts = found["accepted_correct_rate"] + found["substitution_rate"] + found["reject_rate"]
    assert parts == pytest.approx(1)


def test_boxes_table_has_a_row_per_paper(boxes):
    lines = run("evaluate", "--boxes", boxes[0]).output.splitlines()
    assert [line.split()[0] for line in lines] == ["paper", "a", "b", "all"]


def test_figures_of_boxes_and_of_mnist(boxes, small_mnist, tmp_path):
    assert run("evaluate", "--boxes", boxes[0], "--plots", tmp_path / "b").exit_code == 0
    assert {p.name for p in (tmp_path / "b").iterdir()} == {"reliability.png", "risk_coverage.png"}
    run("evaluate", "--data", small_mnist, "--min-accuracy", 0, "--plots", tmp_path / "m")
    assert len(list((tmp_path / "m").iterdir())) == 3


BAD = {
    "no x": lambda a: a.pop("x"),
    "x of floats": lambda a: a.update(x=a["x"].astype(float)),
    "x flat": lambda a: a.update(x=a["x"][0]),
    "y short": lambda a: a.update(y=a["y"][:3]),
    "y of texts": lambda a: a.update(y=a["y"].astype(str)),
    "y beyond 9": lambda a: a.update(y=a["y"] + 3),
    "group of numbers": lambda a: a.update(group=a["y"]),
    "group pickled": lambda a: a.update(group=a["group"].astype(object)),
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_boxes_are_named(boxes, fault):
    path, arrays = boxes
    BAD[fault](arrays)
    np.savez(path, **arrays)
    result = run("evaluate", "--boxes", path)
    assert isinstance(result.exception, DatasetError)
    assert "boxes.npz" in str(result.exception) and "received" in str(result.exception)


def test_data_and_boxes_together_are_a_usage_error(boxes):
    assert run("evaluate", "--boxes", boxes[0], "--data", boxes[0]).exit_code == 2


# ---------------------------------------------------------------- own paper, and parts of a recipe


@pytest.fixture(scope="module")
def foreign_hand(tmp_path_factory):
    """Labelled boxes of a hand that MNIST does not know: it leans far back, noses its 1 and bars its 7."""
    rng = np.random.default_rng(11)
    digits = load_mnist().train
    made = styles(digits, 240, rng)
    back = np.array([[1, -0.55, 7.5], [0, 1, 0]])
    boxes = [write_box(cv2.warpAffine(image, back, (28, 28)), rng).pixels for image in made.images]
    x = np.stack([cv2.resize(box, (80, 80)) for box in boxes])
    path = tmp_path_factory.mktemp("own") / "own.npz"
    np.savez(path, x=x, y=made.labels, group=np.full(len(x), "5b"))
    return path


def test_extra_boxes_teach_a_hand_that_mnist_does_not_know(foreign_hand, small_mnist, tmp_path):
    result = run("train", "--extra", foreign_hand, "--data", small_mnist, "--epochs", 6, "-o", tmp_path)
    assert result.exit_code == 0, result.output
    before, after = map(float, re.search(r"own boxes, right +([\d.]+) +([\d.]+)", result.output).groups())
    assert after > before + 3
    card = load_classifier(tmp_path / "digits.onnx").card
    assert card.training["own_boxes"] > 100 and card.training["started_from"]
    assert card.thresholds == load_classifier().card.thresholds


def test_a_network_that_forgets_mnist_is_refused(foreign_hand, small_mnist, tmp_path):
    other = tmp_path / "other.npz"
    with np.load(small_mnist) as data:  # as if it had: a tenth of the test digits are called something else
        labels = data["y_test"].copy()
        labels[::10] = (labels[::10] + 1) % 10
        np.savez(other, **{key: data[key] for key in data.files if key != "y_test"}, y_test=labels)
    options = ("--data", other, "--epochs", 1, "-o", tmp_path / "out")
    result = run("train", "--extra", foreign_hand, *options)
    assert isinstance(result.exception, ModelError) and "below the bar" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_too_few_extra_boxes_are_refused_by_number(small_mnist, tmp_path):
    few = tmp_path / "few.npz"
    np.savez(few, x=np.full((9, 40, 40), 255, np.uint8), y=np.zeros(9, int), group=np.full(9, "5b"))
    result = run("train", "--extra", few, "--data", small_mnist, "-o", tmp_path / "out")
    assert isinstance(result.exception, DatasetError) and "at least 50" in str(result.exception)


def test_no_better_on_the_held_out_boxes_is_no_model():
    old = {"accuracy": 0.95, "substitution_rate": 0.01, "digits": 1000}
    check_better(old, {"accuracy": 0.95, "substitution_rate": 0.012})
    for worse in (
        {"accuracy": 0.94, "substitution_rate": 0.0},
        {"accuracy": 0.99, "substitution_rate": 0.02},
    ):
        with pytest.raises(ModelError, match="no better than before"):
            check_better(old, worse)


def test_a_source_can_be_left_out_by_its_name(small_mnist, tmp_path):
    options = ("--data", small_mnist, "--epochs", 1, "--min-accuracy", 0, "--limit", 200, "-o", tmp_path)
    assert run("train", "--without", "styles", "--without", "on_paper", *options).exit_code == 0
    sources = load_classifier(tmp_path / "digits.onnx").card.training["sources"]
    assert "styles" not in sources and "on_paper" not in sources and "plain" in sources
    result = run("train", "--without", "stiles", *options)
    assert isinstance(result.exception, ModelError) and "stiles" in str(result.exception)


def test_networks_fine_tuned_from_one_can_be_averaged(trained, small_mnist, tmp_path):
    import keras

    start = trained[0] / "digits.keras"
    options = ("--data", small_mnist, "--network", "seed", "--epochs", 1, "--min-accuracy", 0.5)
    assert run("train", "--from", start, "--seed", 1, *options, "-o", tmp_path / "a").exit_code == 0
    paths = [start, tmp_path / "a" / "digits.keras"]
    averaged = [part for path in paths for part in ("--average", path)]
    result = run("train", *averaged, *options, "-o", tmp_path / "mean")
    assert result.exit_code == 0, result.output
    one, two, mean = (
        keras.saving.load_model(path, compile=False).get_weights()
        for path in (*paths, tmp_path / "mean" / "digits.keras")
    )
    for a, b, c in zip(one, two, mean, strict=True):
        np.testing.assert_allclose((a + b) / 2, c, atol=1e-6)
    assert len(load_classifier(tmp_path / "mean" / "digits.onnx").card.training["average_of"]) == 2
    assert run("train", *averaged, "--from", start, *options).exit_code == 2
