"""Python sources as syntax: which names a module imports, what is assigned to a name, what stands around a node."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Module:
    """One source file."""

    name: str
    place: str
    tree: ast.Module
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    """Name here → dotted name of what it is."""


def module_of(place: str, text: str) -> Module:
    name = place.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    module = Module(name, place, ast.parse(text))
    for node in ast.walk(module.tree):
        for child in ast.iter_child_nodes(node):
            module.parents[child] = node
        if isinstance(node, ast.ImportFrom):
            module.imports |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return module


def tail(called: ast.expr) -> str:
    """The last name of `a.b.c`."""
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


def parameters(function: Function) -> list[str]:
    arguments = function.args
    return [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def bound(node: ast.AST, name: str) -> Iterator[ast.expr]:
    """What a statement assigns to `name`."""
    if isinstance(node, ast.Assign):
        pairs = [(target, node.value) for target in node.targets]
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        pairs = [(node.target, node.value)]
    else:
        return
    for target, value in pairs:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs += zip(target.elts, value.elts, strict=True)
        elif isinstance(target, ast.Name) and target.id == name:
            yield value
