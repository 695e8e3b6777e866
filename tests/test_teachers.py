"""Learning from earlier networks: what is learnt of an image, and when its label is not believed."""

from dataclasses import replace

import numpy as np
import pytest

from omrgrade.classify import load_classifier
from omrgrade.errors import ModelError
from omrgrade.training.data import Labelled, load_mnist, one_hot
from omrgrade.training.recipes import RECIPES, kept
from omrgrade.training.sources import Share, plain, pool
from omrgrade.training.teachers import Teachers, load_teachers


class Opinion:
    """A network that gives every image the same probabilities."""

    def __init__(self, *probabilities: float) -> None:
        self.card = replace(load_classifier().card, classes=("0", "1", "2"))
        self._row = np.array(probabilities, np.float32)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        return np.tile(self._row, (len(images), 1))


def test_teachers_agree_on_their_geometric_mean() -> None:
    images = np.zeros((2, 28, 28), np.uint8)
    taught = Teachers([Opinion(0.8, 0.1, 0.1), Opinion(0.2, 0.4, 0.4)]).opinion(images)
    np.testing.assert_allclose(taught, np.tile(np.float32([0.5, 0.25, 0.25]), (2, 1)), atol=1e-4)


def test_a_doubtful_label_is_mixed_with_the_opinion_and_a_denied_one_is_dropped() -> None:
    part = Labelled(images=np.zeros((3, 28, 28), np.uint8), labels=np.array([0, 1, 2]))
    teachers = Teachers([Opinion(0.68, 0.30, 0.02)])
    mixed = teachers.taught(part, doubtful=True).targets
    np.testing.assert_allclose(mixed, [[0.84, 0.15, 0.01], [0.34, 0.65, 0.01], [0.68, 0.30, 0.02]], atol=1e-4)
    np.testing.assert_array_equal(teachers.taught(part, doubtful=False).targets, np.eye(3))


def test_images_keep_their_targets_when_they_are_mixed() -> None:
    digits = load_mnist().train.take(slice(0, 300))
    recipe = (Share(name="plain", draw=plain, weight=1.0), Share(name="more", draw=plain, weight=0.5))
    classes = load_classifier().card.classes
    drawn = pool(recipe, digits, seed=1, teachers=Teachers([load_classifier()]))
    assert drawn.targets is not None
    np.testing.assert_array_equal(drawn.targets, one_hot(drawn.labels, len(classes)))
    assert drawn.take(slice(0, 7)).targets.shape == (7, len(classes))


def test_teachers_that_know_other_classes_are_refused() -> None:
    with pytest.raises(ModelError, match="same classes"):
        Teachers([Opinion(0.5, 0.3, 0.2), load_classifier()])


def test_no_teachers_is_the_label_alone() -> None:
    assert load_teachers(()) is None


def test_a_recipe_without_a_source_is_as_long() -> None:
    whole = RECIPES["paper"]
    without = kept(whole, ["styles", "on_paper"])
    assert [share.name for share in without] == [
        share.name for share in whole if share.name not in ("styles", "on_paper")
    ]
    assert sum(share.weight for share in without) == pytest.approx(sum(share.weight for share in whole))
    assert kept(whole, ()) == whole


def test_leaving_everything_out_is_an_error() -> None:
    with pytest.raises(ModelError, match="nothing is left"):
        kept(RECIPES["seed"], ["plain"])
