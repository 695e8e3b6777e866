"""The two networks: the seed's, to the letter, and the default one for paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from omrgrade.errors import ModelError

if TYPE_CHECKING:
    import keras

NETWORKS = ("paper", "seed")


def seed_network() -> keras.Model:
    """The textbook network: float32 (N, 28, 28, 1) -> probabilities of 10 digits. 225,034 parameters."""
    from keras import Input, Sequential, layers

    return Sequential(
        [
            Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ],
        name="seed",
    )


def paper_network() -> keras.Model:
    """The default: float32 (N, 28, 28, 1) -> probabilities of 10 digits and "not a digit".

    Strided 5x5 and 3x3 convolutions instead of pooling keep the work at 28x28 small (a box costs about
    0.15 ms on one core), so that most of it is spent at 14x14 and 7x7, where strokes meet.
    """
    from keras import Input, Model, layers

    image = Input((28, 28, 1))
    x = _convolution(image, 32, 5, strides=2)
    x = _convolution(x, 48, 3)
    x = _convolution(x, 48, 3)
    x = _convolution(x, 64, 3, strides=2)
    x = _convolution(x, 96, 3)
    x = _convolution(x, 96, 3)
    x = layers.MaxPooling2D(2)(x)
    x = _convolution(x, 96, 3)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.4)(x)
    return Model(image, layers.Dense(11, activation="softmax")(x), name="paper")


def build(name: str) -> keras.Model:
    """One of NETWORKS, untrained."""
    return {"paper": paper_network, "seed": seed_network}[name]()


def load_network(path: Path) -> keras.Model:
    """A network that `train` saved, or a `ModelError`."""
    from keras import saving

    try:
        model = saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever its layers and archives do
        raise ModelError(
            "cannot load the network to go on from", where=str(path),
            fix="give a digits.keras that omrgrade train wrote, with --from", received=str(error),
        ) from error  # fmt: skip
    if model.name not in NETWORKS:
        raise ModelError(
            f"not one of the networks {', '.join(NETWORKS)}", where=str(path), received=model.name
        )
    return model


def logits_network(model: keras.Model) -> keras.Model:
    """The same network, weights shared, without its last softmax: -> logits (N, C).

    Temperature scaling needs logits; a softmax inside the exported network would have to be undone.
    """
    from keras import Model, layers

    last = model.layers[-1]
    logits = layers.Dense(last.units, name="logits")
    scores = logits(last.input)
    logits.set_weights(last.get_weights())
    return Model(model.inputs, scores, name=f"{model.name}_logits")


def _convolution(x: Any, filters: int, size: int, *, strides: int = 1) -> Any:
    """Convolution, BatchNormalization, ReLU; the normalisation's shift makes a bias useless."""
    from keras import layers

    x = layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization()(x))
