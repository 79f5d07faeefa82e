"""Finds every sentence that the core says to people, in the syntax of its sources: none can hide from a language.

What is found: what is given to a `StudioError`, to `Progress`, to a result's notes, to the notes of a training, to a
`Finding` or to the `problems` of a data set; and, as words of their own, the English that is put into such a sentence
(a parameter's "a picture", a table's "a whole number"). A sentence that is put together in a way that cannot be
followed is an error: it is to be written whole where it is raised.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mmdemo import errors
from tests.ui.syntax import Function, Module, bound, module_of, parameters, tail

ROOT = Path(errors.__file__).parents[1]
LEFT_OUT = ("mmdemo/starter/", "mmdemo/cli/")
"""They speak to a terminal only."""
ERRORS = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.StudioError) and kind is not errors.StudioError
}
PUT_INTO_NOTES = ("lacks", "spoken")
"""Functions of a training whose words are put into its notes: what a row lacks, how long something takes."""


@dataclass
class Template:
    """An English sentence with `{0}`, `{1}` … for its fields."""

    text: str
    where: str
    fields: list[str]
    """The expressions of the fields; one that comes twice need be said once only."""
    spoken: set[int]
    """Fields that the program itself fills with English words."""


class Sentences:
    """All of them, by text, in `found`; what could not be followed in `lost`."""

    def __init__(self, sources: dict[str, str] | None = None) -> None:
        """Read `sources` (place → text), by default the whole program."""
        self.found: dict[str, Template] = {}
        self.lost: list[str] = []
        self._modules = [module_of(place, text) for place, text in (sources or _program()).items()]
        self._asked: dict[tuple[ast.AST, str], bool] = {}
        self._calls: dict[str, list[tuple[Module, ast.Call]]] = {}
        nodes = [(module, node) for module in self._modules for node in ast.walk(module.tree)]
        for module, node in nodes:
            if isinstance(node, ast.Call):
                self._calls.setdefault(tail(node.func), []).append((module, node))
        for module, node in nodes:
            for message in self._messages(module, node):
                self._sentence(module, message)

    def _messages(self, module: Module, node: ast.AST) -> Iterator[ast.expr]:
        """The expressions of `node` that people read."""
        if module.place.startswith("mmdemo/training/"):
            yield from _noted(node)
            if isinstance(node, ast.Return) and node.value and self._is_put_into_notes(module, node):
                self._words(module, node.value, loose=True)
        if isinstance(node, ast.Call) and node.args:
            called = node.func
            if self._is_problem(called, node):
                self._words(module, node.args[0], loose=False)
                if not isinstance(node.args[1], ast.Name):  # that is a sentence from elsewhere, found there
                    yield node.args[1]
                return
            raised = self._is_error(module, called) and tail(called) != "UnknownName"  # that has one of its own
            own = tail(called) == "__init__" and self._in_error(module, node)
            added = isinstance(called, ast.Attribute) and called.attr == "append" and "notes" in tail(called.value)
            if (
                raised or own or tail(called) in ("Progress", "Finding") or (added and "/ui/" not in module.place)
            ):  # its header's
                yield node.args[0]
        elif isinstance(node, ast.Assign) and tail(node.targets[0]) == "notes" and "/ui/" not in module.place:
            for part in ast.walk(node.value):
                if isinstance(part, ast.Tuple):
                    yield from part.elts
        elif isinstance(node, ast.Dict) and module.name.endswith(".hub_download"):  # a program of its own: it prints
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "message":
                    self._words(module, value, loose=False)

    def _is_put_into_notes(self, module: Module, node: ast.Return) -> bool:
        return any(one.name in PUT_INTO_NOTES for one in self._functions(module, node))

    @staticmethod
    def _is_problem(called: ast.expr, node: ast.Call) -> bool:
        """Whether it is `problems.add(kind, sentence)`, or `once`."""
        added = isinstance(called, ast.Attribute) and called.attr in ("add", "once")
        return added and "problems" in tail(called.value) and len(node.args) == 2  # type: ignore[attr-defined]

    def _is_error(self, module: Module, called: ast.expr) -> bool:
        if isinstance(called, ast.IfExp):
            return self._is_error(module, called.body) or self._is_error(module, called.orelse)
        if isinstance(called, ast.Name) and called.id not in ERRORS:
            return any(isinstance(v, ast.IfExp) and self._is_error(module, v) for v in self._assigned(module, called))
        return tail(called) in ERRORS

    def _in_error(self, module: Module, node: ast.AST) -> bool:
        above: ast.AST | None = node
        while above is not None and not isinstance(above, ast.ClassDef):
            above = module.parents.get(above)
        return above is not None and any(tail(base) in ERRORS | {"StudioError"} for base in above.bases)

    def _sentence(self, module: Module, said: ast.expr) -> None:
        """Take in a whole sentence."""
        if isinstance(said, ast.Constant) and isinstance(said.value, str):
            self._add(module, said, said.value, [], set())
        elif isinstance(said, ast.JoinedStr):
            self._template(module, said)
        elif isinstance(said, ast.IfExp):
            self._sentence(module, said.body)
            self._sentence(module, said.orelse)
        elif isinstance(said, ast.Name) and (values := self._assigned(module, said)):
            for value in values:
                self._sentence(module, value)
        elif not (isinstance(said, ast.Call) and (tail(said.func) == "say" or self._is_caught(module, said))):
            self.lost.append(f"{module.place}:{said.lineno}: {ast.unparse(said)}")

    def _is_caught(self, module: Module, call: ast.Call) -> bool:
        """Whether this is `str(error)` of an error of the tree, whose own sentence is found where it is raised."""
        above: ast.AST | None = call
        while above is not None and not isinstance(above, ast.ExceptHandler):
            above = module.parents.get(above)
        return (
            above is not None
            and ast.unparse(call) == f"str({above.name})"
            and above.type is not None
            and all(tail(kind) in ERRORS for kind in getattr(above.type, "elts", [above.type]))
        )

    def _template(self, module: Module, said: ast.JoinedStr) -> None:
        text, fields, spoken = "", [], set()
        for part in said.values:
            if isinstance(part, ast.Constant):
                text += str(part.value).replace("{", "{{").replace("}", "}}")
            elif isinstance(part, ast.FormattedValue):
                # What is shown in quotes is what someone gave, never our own words.
                if part.conversion != ord("r") and self._words(module, part.value, loose=False):
                    spoken.add(len(fields))
                text += f"{{{len(fields)}}}"
                fields.append(ast.unparse(part.value))
        self._add(module, said, text, fields, spoken)

    def _words(self, module: Module, of: ast.expr, loose: bool) -> bool:
        """Take in the English that `of` may be; whether there is any.

        Args:
            loose: a single word counts too; else only several, since a single one is likely a key.
        """
        if isinstance(of, ast.Constant):
            wordy = isinstance(of.value, str) and re.search("[A-Za-z]" if loose else "[A-Za-z,.] [A-Za-z]", of.value)
            if wordy:
                self._add(module, of, of.value, [], set())
            return bool(wordy)
        if isinstance(of, ast.JoinedStr):
            wordy = any(isinstance(part, ast.Constant) and re.search("[A-Za-z]", part.value) for part in of.values)
            if wordy:
                self._template(module, of)
            return wordy
        if isinstance(of, ast.Name):
            return self._variable(module, of)
        if isinstance(of, ast.Subscript):
            return self._table(module, of.value) or self._words(module, of.value, loose=False)
        parts: list[ast.expr] = []
        if isinstance(of, ast.IfExp):
            parts = [of.body, of.orelse]
        elif isinstance(of, ast.BoolOp):
            parts = of.values
        elif isinstance(of, ast.Call):
            called = of.func
            if isinstance(called, ast.Attribute) and called.attr == "get" and self._table(module, called.value):
                return True
            parts = [called.value] if isinstance(called, ast.Attribute) else []
            if tail(called) in ("join", "str", "next", "iter"):
                parts += of.args
            loose = False
        elif isinstance(of, ast.Attribute):
            return of.attr == "label"  # of an option: another part of the catalogue has those
        return any([self._words(module, part, loose) for part in parts])

    def _table(self, module: Module, name: ast.expr) -> bool:
        """Take in the values of a module's dictionary."""
        if not isinstance(name, ast.Name):
            return False
        tables = [value for value in self._assigned(module, name) if isinstance(value, ast.Dict)]
        return any([self._words(module, one, loose=True) for table in tables for one in table.values])

    def _assigned(self, module: Module, name: ast.Name) -> list[ast.expr]:
        """What is assigned to `name` in the functions around it, or else in its module."""
        for function in self._functions(module, name):
            values = [value for node in ast.walk(function) for value in bound(node, name.id)]
            if values or name.id in parameters(function):
                return values
        home, _, original = module.imports.get(name.id, f"{module.name}.{name.id}").rpartition(".")
        bodies = [other.tree.body for other in self._modules if other.name == home]
        return [value for body in bodies for node in body for value in bound(node, original)]

    def _variable(self, module: Module, name: ast.Name) -> bool:
        """Take in what is assigned to a name, and what callers give for it if it is a parameter."""
        around = self._functions(module, name)
        owner = next((function for function in around if name.id in parameters(function)), None)
        key = (around[0] if around else module.tree, name.id)
        if key not in self._asked:
            self._asked[key] = False  # until it is known: a name may be made of itself
            values = [(module, value, False) for value in self._assigned(module, name)]
            if owner is not None:
                values += [(*one, True) for one in self._given(module, owner, name.id)]
            self._asked[key] = any([self._words(*one) for one in values])
        return self._asked[key]

    def _functions(self, module: Module, node: ast.AST) -> list[Function]:
        """The functions around `node`, the nearest first."""
        around: list[Function] = []
        above = module.parents.get(node)
        while above is not None:
            around += [above] if isinstance(above, Function) else []
            above = module.parents.get(above)
        return around

    def _given(self, home: Module, function: Function, name: str) -> Iterator[tuple[Module, ast.expr]]:
        """What is given for a parameter of a function, in all calls of it."""
        owner = home.parents[function]
        called = owner.name if isinstance(owner, ast.ClassDef) and function.name == "__init__" else function.name
        place = parameters(function).index(name) - isinstance(owner, ast.ClassDef)  # without `self`
        if place < 0:
            return
        method = isinstance(owner, ast.ClassDef) and function.name != "__init__"
        for module, node in self._calls.get(called, []):
            first, _, rest = ast.unparse(node.func).partition(".")
            dotted = ".".join(filter(None, (module.imports.get(first, f"{module.name}.{first}"), rest)))
            if method or dotted == f"{home.name}.{called}":
                keywords = {keyword.arg: keyword.value for keyword in node.keywords}
                if place < len(node.args):
                    yield module, node.args[place]
                elif name in keywords:
                    yield module, keywords[name]

    def _add(self, module: Module, node: ast.expr, text: str, fields: list[str], spoken: set[int]) -> None:
        if not fields:
            text = text.replace("{", "{{").replace("}", "}}")
        self.found.setdefault(text, Template(text, f"{module.place}:{node.lineno}", fields, spoken))


def _noted(node: ast.AST) -> Iterator[ast.expr]:
    """What a training tells with `note(sentence)` or `events("note", …)`, but for what a name holds, found there."""
    if not isinstance(node, ast.Call):
        return
    told = [*node.args[:1]] if tail(node.func) == "note" else []
    if tail(node.func) == "events" and ast.unparse(node.args[0]) == "'note'":
        told = [one.value for one in node.keywords if one.arg == "message"]
    yield from (one for one in told if not isinstance(one, ast.Name | ast.Subscript))


def _program() -> dict[str, str]:
    places = {path.relative_to(ROOT).as_posix(): path for path in sorted((ROOT / "mmdemo").rglob("*.py"))}
    return {place: path.read_text("utf-8") for place, path in places.items() if not place.startswith(LEFT_OUT)}
