"""YAML that remembers its lines, so that every mistake can be shown where it stands."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from omrgrade.errors import TemplateError

_MAX_BYTES = 64 * 1024  # the bundled sheets need 3 KiB; more is not a sheet, and slows the parser
_MAX_DEPTH = 12
_KINDS = {MappingNode: "a mapping", SequenceNode: "a list", ScalarNode: "a single value"}


def read_bytes(path: Path) -> bytes:
    """The file's bytes; `TemplateError` when it cannot be read or is far too large."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise TemplateError(
            "this template cannot be read", where=str(path), fix="check the path", received=error.strerror
        ) from error
    if len(data) > _MAX_BYTES:
        raise TemplateError(
            f"a template has at most {_MAX_BYTES} bytes", where=str(path), fix="write repeats once (q1..q20)"
        )
    return data


def parse(source: str, data: bytes) -> Mapping:
    """The document as a `Mapping`; `source` names it in messages."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TemplateError("a template is a UTF-8 text file", where=source, received=data[:16]) from error
    try:
        _refuse_tricks(source, text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise TemplateError(
            "this is not valid YAML", where=source + line, fix="check indents, brackets and quotes",
            received=error.problem,
        ) from error  # fmt: skip
    except yaml.YAMLError as error:
        raise TemplateError("this is not valid YAML", where=source, received=str(error)) from error
    if not isinstance(root, MappingNode):
        raise TemplateError(
            "a template is a mapping", where=source, fix="begin it with 'omrgrade: 1'", received=text[:40]
        )
    return Mapping(source, root, "the template")


def _refuse_tricks(source: str, text: str) -> None:
    """Refuse what no template needs and what could blow up: aliases, tags, deep nesting."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        where = f"{source}:{event.start_mark.line + 1 if event.start_mark else 1}"
        if isinstance(event, yaml.AliasEvent):
            raise TemplateError(
                "aliases are not supported",
                where=where,
                fix="write the value out",
                received=f"*{event.anchor}",
            )
        tag = getattr(event, "tag", None)
        if isinstance(event, yaml.NodeEvent) and tag not in (None, "!"):
            raise TemplateError("tags are not supported", where=where, fix="remove it", received=tag)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise TemplateError(f"nested more than {_MAX_DEPTH} deep", where=where, fix="flatten it")


class Mapping:
    """A YAML mapping whose values are asked for by key and type; a wrong one is a `TemplateError`."""

    def __init__(self, source: str, node: MappingNode, what: str) -> None:
        self.source = source
        self.what = what
        self.line = node.start_mark.line + 1
        self._nodes: dict[str, Node] = {}
        self._lines: dict[str, int] = {}
        for key_node, value in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                raise TemplateError("a key must be a plain word", where=f"{source}:{line}")
            key = key_node.value
            if key in self._nodes:
                raise TemplateError(
                    f"{key!r} is given twice in {what}", where=f"{source}:{line}",
                    fix=f"keep one (the first is on line {self._lines[key]})", received=key,
                )  # fmt: skip
            self._nodes[key], self._lines[key] = value, line

    def __contains__(self, key: str) -> bool:
        return key in self._nodes

    def error(self, key: str, problem: str, *, fix: str = "", received: object = None) -> TemplateError:
        """A mistake at `key`, with its file and line; without `received`, the value as written."""
        line = self._lines.get(key, self.line)
        if received is None and key in self._nodes:
            received = _plain(self._nodes[key])
        return TemplateError(
            f"{key!r} of {self.what} {problem}", where=f"{self.source}:{line}", fix=fix, received=received
        )

    def only(self, allowed: Sequence[str]) -> None:
        """Refuse keys that mean nothing here."""
        for key in self._nodes:
            if key not in allowed:
                near = difflib.get_close_matches(key, allowed, n=1)
                fix = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(allowed)}"
                raise self.error(key, "is not a known key", fix=fix, received=key)

    def node(self, key: str) -> Node:
        """The node at `key`, which must be there."""
        if key not in self._nodes:
            raise TemplateError(
                f"{self.what} lacks {key!r}", where=f"{self.source}:{self.line}", fix="add it",
                received=", ".join(self._nodes) or "nothing",
            )  # fmt: skip
        return self._nodes[key]

    def text(self, key: str, default: str | None = None) -> str:
        """A single value as written: ``no`` is the text "no", not a truth value."""
        if default is not None and key not in self._nodes:
            return default
        node = self.node(key)
        if not isinstance(node, ScalarNode) or not node.value.strip():
            raise self.error(key, "must be a text")
        return str(node.value).strip()

    def choice(self, key: str, allowed: Sequence[str], default: str | None = None) -> str:
        """A text out of `allowed`."""
        value = self.text(key, default)
        if value not in allowed:
            raise self.error(key, f"must be one of {', '.join(allowed)}", received=value)
        return value

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        if key not in self._nodes:
            return default
        return self.choice(key, ("true", "false")) == "true"

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        """A number between `low` and `high`, both included."""
        if default is not None and key not in self._nodes:
            return default
        return self._number(key, self.node(key), low, high)

    def integer(self, key: str, low: int, high: int) -> int:
        """A whole number between `low` and `high`, both included."""
        value = self.number(key, low, high)
        if not value.is_integer():
            raise self.error(key, "must be a whole number")
        return int(value)

    def pair(
        self, key: str, low: float, high: float, default: tuple[float, float] | None = None
    ) -> tuple[float, float]:
        """Two numbers, ``[x, y]``."""
        if default is not None and key not in self._nodes:
            return default
        values = self.numbers(key, low, high)
        if len(values) != 2:
            raise self.error(key, "must be two numbers in mm, like [30, 70]")
        return values[0], values[1]

    def numbers(self, key: str, low: float, high: float) -> tuple[float, ...]:
        """A list of numbers."""
        node = self.node(key)
        if not isinstance(node, SequenceNode):
            raise self.error(key, "must be a list of numbers, like [30, 70]")
        return tuple(self._number(key, child, low, high) for child in node.value)

    def pairs(self, key: str, low: float, high: float) -> list[tuple[float, float]]:
        """A list of pairs of numbers, ``[[x, y], ...]``."""
        node = self.node(key)
        rows = node.value if isinstance(node, SequenceNode) else []
        if not rows or not all(isinstance(row, SequenceNode) and len(row.value) == 2 for row in rows):
            raise self.error(key, "must be a list of pairs in mm, like [[9, 9], [195, 9]]")
        return [
            (self._number(key, row.value[0], low, high), self._number(key, row.value[1], low, high))
            for row in rows
        ]

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; one text means its characters, as in ``ABCD``."""
        node = self.node(key)
        if isinstance(node, ScalarNode):
            return tuple(node.value)
        if not isinstance(node, SequenceNode) or not all(isinstance(n, ScalarNode) for n in node.value):
            raise self.error(key, "must be a list of texts, like [A, B, C]")
        return tuple(str(n.value) for n in node.value)

    def is_list(self, key: str) -> bool:
        """Whether the value is a list."""
        return isinstance(self._nodes.get(key), SequenceNode)

    def mapping(self, key: str) -> Mapping:
        """A mapping within this one."""
        node = self.node(key)
        if not isinstance(node, MappingNode):
            raise self.error(key, "must be a mapping, like {key: value}")
        return Mapping(self.source, node, f"{key!r}")

    def mappings(self, key: str) -> list[Mapping]:
        """A list of mappings within this one."""
        node = self.node(key)
        if not isinstance(node, SequenceNode) or not node.value:
            raise self.error(key, "must be a list with at least one entry")
        for child in node.value:
            if not isinstance(child, MappingNode):
                raise TemplateError(
                    f"an entry of {key!r} must be a mapping", fix="write it as {id: ..., kind: ...}",
                    where=f"{self.source}:{child.start_mark.line + 1}", received=_plain(child),
                )  # fmt: skip
        return [Mapping(self.source, child, f"an entry of {key!r}") for child in node.value]

    def _number(self, key: str, node: Node, low: float, high: float) -> float:
        try:
            value = float(node.value) if isinstance(node, ScalarNode) else math.nan
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.error(key, "must be a number" if isinstance(node, ScalarNode) else "must be numbers")
        if not low <= value <= high:
            raise self.error(key, f"must lie between {low:g} and {high:g}")
        return value


def _plain(node: Node) -> object:
    """What was written, for a message: short, and never executed."""
    if isinstance(node, ScalarNode):
        return node.value if len(node.value) <= 60 else node.value[:57] + "..."
    if isinstance(node, SequenceNode) and len(node.value) <= 6:
        return [_plain(child) for child in node.value]
    return _KINDS[type(node)]
