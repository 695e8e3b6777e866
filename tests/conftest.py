"""What many tests share: simulated pages with known truth, each made once."""

import functools
import os
import signal

import pytest
from hypothesis import settings

from omrgrade.simulate import simulate_page
from omrgrade.template import load_template

# CI tries the same examples each time, so that it says something about the change; elsewhere they vary.
# No deadlines: how long an example takes on a busy machine says nothing.
settings.register_profile("ci", derandomize=True, print_blob=True, deadline=None)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")

# A shell that starts the tests in the background has programs ignore Ctrl-C, and they would hand that on.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def page_factory():
    """page_factory("numeric-a4", seed=1, profile="photo", turn=90, values={...}) -> SimulatedPage."""

    @functools.lru_cache(maxsize=64)
    def make(name, seed, profile, turn, values):
        values = None if values is None else dict(values)
        return simulate_page(load_template(name), seed=seed, profile=profile, turn=turn, values=values)

    def factory(name="numeric-a4", *, seed=0, profile="scanner", turn=None, values=None):
        return make(name, seed, profile, turn, None if values is None else tuple(values.items()))

    return factory
