"""Every error omrgrade raises on purpose, each with the exit code a command ends with."""

from __future__ import annotations

_MISSING = object()


class OmrgradeError(Exception):
    """Something the user can act on.

    The message says where, what, what to do, and ends with what was received.
    """

    exit_code = 3

    def __init__(self, what: str, *, where: str = "", fix: str = "", received: object = _MISSING) -> None:
        reason = what
        if fix:
            reason += f"; {fix}"
        if received is not _MISSING:
            reason += f" (received {received!r})"
        self.reason = reason  # the message without `where`, for tables that name the place in a column
        super().__init__(f"{where}: {reason}" if where else reason)


class TemplateError(OmrgradeError):
    """A template that cannot be used."""


class AnswerKeyError(OmrgradeError):
    """An answer key that is missing, malformed or does not fit the template."""


class RosterError(OmrgradeError):
    """A roster that is missing or malformed."""


class ModelError(OmrgradeError):
    """A model or model card that is missing, damaged or below the bar."""


class DatasetError(OmrgradeError):
    """A labelled data set that is missing or not of the expected form."""


class OutputError(OmrgradeError):
    """Results that cannot be written."""


class MissingExtraError(OmrgradeError):
    """A command was called whose optional packages are not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs packages that are not installed",
            fix=f"install them with: pip install 'omrgrade[{extra}]'",
        )


class PageError(OmrgradeError):
    """One page cannot be read; never leaves `grade_batch`."""


class UnreadableImageError(PageError):
    """A file that is not an image we can decode."""


class RegistrationError(PageError):
    """A page on which the template's geometry was not found."""
