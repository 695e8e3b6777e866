"""Data, augmentation, networks, fitting and export: what a retrained model relies on."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from omrgrade.classify import DIGITS, OnnxClassifier, load_classifier
from omrgrade.errors import DatasetError, ModelError, OutputError
from omrgrade.records import ModelCard
from omrgrade.training import sources
from omrgrade.training.augment import augmented
from omrgrade.training.data import Labelled, load_mnist, one_hot, split, to_input
from omrgrade.training.export import check_export, install, sha256, to_onnx
from omrgrade.training.fit import Settings, train
from omrgrade.training.glyphs import GLYPHS, smooth
from omrgrade.training.network import build, logits_network
from omrgrade.training.not_digits import KINDS, boxed_not_digits, not_digits
from omrgrade.training.quantise import to_int8
from omrgrade.training.recipes import RECIPES, VALIDATION
from omrgrade.training.sources import Share, plain, pool


@pytest.fixture(scope="module")
def mnist():
    return load_mnist()


@pytest.fixture(scope="module")
def digits(mnist):
    return mnist.train.take(slice(0, 300))


# ---------------------------------------------------------------- data


def test_bundled_mnist_is_the_whole_of_it(mnist):
    assert len(mnist.train) == 60_000 and len(mnist.test) == 10_000
    assert mnist.source.endswith("mnist.npz")
    assert np.bincount(mnist.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_network_input_runs_from_0_to_1_with_a_channel_axis(digits):
    x = to_input(digits.images)
    assert x.shape == (300, 28, 28, 1) and x.dtype == np.float32
    assert (x.min(), x.max()) == (0, 1)


def test_one_hot_has_one_column_per_class():
    np.testing.assert_array_equal(one_hot(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]])


def test_split_holds_out_the_same_digits_every_time_and_loses_none(digits):
    numbered = Labelled(images=digits.images, labels=np.arange(300))
    learn, held = split(numbered, 0.1)
    assert len(held) == 30
    assert sorted([*learn.labels, *held.labels]) == list(range(300))
    np.testing.assert_array_equal(held.labels, split(numbered, 0.1)[1].labels)


@pytest.mark.parametrize("fraction", [0.001, 0.999])
def test_split_that_leaves_nothing_is_refused(digits, fraction):
    with pytest.raises(DatasetError, match="empty"):
        split(digits, fraction)


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 28, 28), np.uint8)
    labels = np.arange(20, dtype=np.uint8) % 10
    return {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}


def saved(arrays, folder):
    np.savez(folder / "data.npz", **arrays)
    return folder / "data.npz"


def test_whole_numbers_stored_as_floats_are_taken(arrays, tmp_path):
    images = arrays["x_train"]
    arrays["x_train"] = images.astype(np.float64)
    np.testing.assert_array_equal(load_mnist(saved(arrays, tmp_path)).train.images, images)


FAULTS = {
    "lacks y_test": lambda a: a.pop("y_test"),
    r"\(N, 28, 28\)": lambda a: a.update(x_test=a["x_test"][:, :27]),
    "20 labels": lambda a: a.update(y_train=a["y_train"][:19]),
    "whole numbers": lambda a: a.update(y_train=a["y_train"].astype(float)),
    "0 to 9": lambda a: a.update(y_train=a["y_train"] + 1),
    "1 pixels are not numbers": lambda a: a.update(x_test=_with_nan(a["x_test"])),
    "0 to 255": lambda a: a.update(x_train=a["x_train"] / 255),
    "must be uint8": lambda a: a.update(x_train=a["x_train"].astype(np.int64)),
    "pickled": lambda a: a.update(y_test=a["y_test"].astype(object)),
}


def _with_nan(images):
    damaged = images.astype(np.float32)
    damaged[3, 4, 5] = np.nan
    return damaged


@pytest.mark.parametrize("message", FAULTS)
def test_data_that_is_not_mnist_is_refused_by_name(arrays, tmp_path, message):
    FAULTS[message](arrays)
    with pytest.raises(DatasetError, match=message) as caught:
        load_mnist(saved(arrays, tmp_path))
    assert "data.npz" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 truncated"])
def test_files_that_are_no_archive(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(DatasetError, match=r"x\.npz"):
        load_mnist(tmp_path / "x.npz")


def test_missing_file(tmp_path):
    with pytest.raises(DatasetError, match="No such file"):
        load_mnist(tmp_path / "none.npz")


# ---------------------------------------------------------------- sources


@pytest.mark.parametrize("source", [augmented, not_digits, boxed_not_digits])
def test_a_source_gives_what_is_asked_and_repeats_with_its_seed(digits, source):
    one, two, other = (source(digits, 40, np.random.default_rng(s)) for s in (5, 5, 6))
    assert one.images.shape == (40, 28, 28) and one.images.dtype == np.uint8
    assert one.images.any(axis=(1, 2)).all()
    np.testing.assert_array_equal(one.images, two.images)
    np.testing.assert_array_equal(one.labels, two.labels)
    assert (one.images != other.images).any()


def test_augmented_digits_differ_from_the_originals_yet_most_are_still_read(digits):
    changed = augmented(digits, 300, np.random.default_rng(0))
    read = load_classifier().logits(changed.images)[:, :10].argmax(axis=1)
    assert (read == changed.labels).mean() > 0.85
    assert (
        changed.images.astype(int).sum(axis=(1, 2)).std() > digits.images.astype(int).sum(axis=(1, 2)).std()
    )


def test_augmented_digits_are_centred_as_mnist_is(digits):
    images = augmented(digits, 200, np.random.default_rng(1)).images.astype(float)
    grid = np.arange(28)
    mass = images.sum(axis=(1, 2))
    assert abs(np.median(images.sum(axis=1) @ grid / mass) - 14) < 0.5
    assert abs(np.median(images.sum(axis=2) @ grid / mass) - 14) < 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_other_ink_can_be_drawn(digits, kind):
    rng = np.random.default_rng(0)
    inked = [np.count_nonzero(KINDS[kind][0](digits, rng)) for _ in range(20)]
    assert np.median(inked) > 30


def test_glyphs_stay_near_their_square_and_curves_pass_through_their_points():
    assert len(GLYPHS) > 60
    for shape in GLYPHS:
        for points, _ in shape:
            assert points.ndim == 2 and points.min() > -0.2 and points.max() < 1.2
    points = np.array([(0, 0), (0.5, 1), (1, 0)])
    curve = smooth(points)
    assert all(np.linalg.norm(curve - p, axis=1).min() < 1e-9 for p in points)


def test_plain_uses_every_digit_before_any_twice(digits):
    labels = plain(
        Labelled(images=digits.images, labels=np.arange(300)), 450, np.random.default_rng(0)
    ).labels
    assert set(np.bincount(labels)) == {1, 2}


def test_pool_mixes_the_shares_and_depends_on_its_seed_alone(digits):
    recipe = (Share(name="a", draw=plain, weight=0.5), Share(name="b", draw=not_digits, weight=0.2))
    one, two = pool(recipe, digits, 1, 2), pool(recipe, digits, 1, 2)
    assert len(one) == 210 and (one.labels == 10).sum() == 60
    assert (one.labels[:60] == 10).sum() < 40  # shuffled
    np.testing.assert_array_equal(one.images, two.images)
    assert (one.images != pool(recipe, digits, 1, 3).images).any()


def test_a_slow_source_is_drawn_anew_only_when_due(digits):
    recipe = (
        Share(name="slow", draw=augmented, weight=0.1, refresh=2),
        Share(name="b", draw=plain, weight=0.1),
    )
    pools = sources.epochs(recipe, digits, 4)
    first, second, third = ({image.tobytes() for image in next(pools).images} for _ in range(3))
    assert len(first & second) >= 25 > len(second & third)
    assert {image.tobytes() for image in pool(recipe, digits, 4, 2).images} == third


def test_pools_made_in_another_process_are_the_same(digits, monkeypatch):
    recipe = (Share(name="a", draw=augmented, weight=0.2),)
    here = sources.epochs(recipe, digits, 7)
    expected = [next(here).images for _ in range(2)]
    monkeypatch.setattr(sources, "SMALL", 0)
    there = sources.epochs(recipe, digits, 7)
    found = [next(there).images for _ in range(2)]
    there.close()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("recipes", [RECIPES, VALIDATION])
def test_the_seed_network_sees_plain_digits_only(recipes):
    assert [share.draw for share in recipes["seed"]] == [plain]
    assert {10} <= set(pool(recipes["paper"], LABELLED, 0).labels)


LABELLED = load_mnist().train.take(slice(0, 60))


# ---------------------------------------------------------------- networks, fitting, export


def test_seed_network_is_the_seeds_to_the_letter():
    model = build("seed")
    layers = [type(layer).__name__ for layer in model.layers]
    assert layers == [
        "Conv2D",
        "MaxPooling2D",
        "Conv2D",
        "MaxPooling2D",
        "Flatten",
        "Dense",
        "Dropout",
        "Dense",
    ]
    assert model.count_params() == 225_034
    assert model.layers[-1].activation.__name__ == "softmax"


def test_paper_network_fits_its_budget_and_knows_what_is_no_digit():
    model = build("paper")
    assert model.count_params() <= 300_000
    assert model.output_shape == (None, 11)
    assert any(type(layer).__name__ == "BatchNormalization" for layer in model.layers)


@pytest.mark.parametrize("name", ["seed", "paper"])
def test_logits_are_the_network_without_its_softmax(name, digits):
    model = build(name)
    x = to_input(digits.images[:8])
    logits = logits_network(model).predict(x, verbose=0).astype(float)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-6)


@pytest.fixture(scope="module")
def trained(digits):
    return train(digits, Settings(network="paper", epochs=1, batch_size=32, seed=3))


def test_training_repeats_with_its_seed(digits, trained):
    again = train(digits, Settings(network="paper", epochs=1, batch_size=32, seed=3))
    assert again.history == trained.history
    for one, two in zip(trained.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_history_has_the_curves(trained):
    assert {"accuracy", "loss", "val_accuracy", "val_loss"} <= trained.history.keys()
    assert all(len(values) == 1 for values in trained.history.values())


def card_for(onnx):
    classes = (*DIGITS, "not_digit")
    return ModelCard(classes=classes, normalizer=1, temperature=1.0, parameters=1, sha256=sha256(onnx))


@pytest.fixture(scope="module")
def exported(trained):
    return to_onnx(trained.model)


def test_export_gives_the_probabilities_that_keras_gives(trained, exported, digits):
    assert check_export(trained.model, exported, card_for(exported), digits.images) <= 1e-4


def test_export_of_another_network_is_noticed(exported, digits):
    with pytest.raises(ModelError, match="differs"):
        check_export(build("paper"), exported, card_for(exported), digits.images)


def test_installed_model_loads_and_retrains(trained, exported, digits, tmp_path):
    import keras

    install(tmp_path, trained.model, exported, card_for(exported))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["digits.json", "digits.keras", "digits.onnx"]
    ours = load_classifier(tmp_path / "digits.onnx").probabilities(digits.images)
    model = keras.models.load_model(tmp_path / "digits.keras")
    np.testing.assert_allclose(model.predict(to_input(digits.images), verbose=0), ours, atol=1e-4)


@pytest.mark.parametrize("broken", ["digits.keras", "digits.onnx", "digits.json"])
def test_install_that_fails_midway_leaves_the_old_model(trained, exported, tmp_path, monkeypatch, broken):
    names = ("digits.json", "digits.keras", "digits.onnx")
    for name in names:
        (tmp_path / name).write_text(f"old {name}")
    real = os.replace

    def replace(source, target):
        if target.name == broken:
            raise OSError("disk full")
        real(source, target)

    monkeypatch.setattr("os.replace", replace)
    with pytest.raises(OutputError, match="disk full"):
        install(tmp_path, trained.model, exported, card_for(exported))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)
    assert all((tmp_path / name).read_text() == f"old {name}" for name in names)


def test_install_where_nothing_can_be_written(trained, exported, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        install(tmp_path / "file", trained.model, exported, card_for(exported))


def test_8_bits_are_a_third_of_the_size_and_read_the_same_digits(trained, exported, digits):
    small = to_int8(exported, digits.images)
    assert len(small) < 0.4 * len(exported)
    assert small == to_int8(exported, digits.images)
    floats = OnnxClassifier(exported, card_for(exported)).logits(digits.images)
    ints = OnnxClassifier(small, card_for(small)).logits(digits.images)
    assert (floats != ints).any()
    margin = np.sort(floats, axis=1)
    sure = margin[:, -1] - margin[:, -2] > 0.1 * np.ptp(floats)
    assert sure.sum() > 20
    np.testing.assert_array_equal(floats.argmax(axis=1)[sure], ints.argmax(axis=1)[sure])


def test_exported_classifier_needs_no_softmax_inside(exported, digits):
    logits = OnnxClassifier(exported, card_for(exported)).logits(digits.images)
    assert abs(logits.sum(axis=1) - 1).max() > 0.01


def test_a_killed_training_leaves_no_process_behind(tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(
        "import multiprocessing, os\n"
        "from omrgrade.training import sources\n"
        "if __name__ == '__main__':\n"
        "    spawn = sources.get_context('spawn')\n"
        "    worker = sources.ProcessPoolExecutor(1, spawn, sources._start, ((), None))\n"
        "    worker.submit(os.getpid).result()\n"
        "    print(multiprocessing.active_children()[0].pid, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, script], stdout=subprocess.PIPE, text=True)
    worker = int(done.stdout)
    for _ in range(100):
        if not alive(worker):
            break
        time.sleep(0.1)
    outlived = alive(worker)
    if outlived:
        os.kill(worker, 9)
    assert not outlived


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
