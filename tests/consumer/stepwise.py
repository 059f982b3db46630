"""The workers' own code, made to stop between any two statements.

A thread can lose the processor anywhere. `stepwise` takes a function as it is in the source and makes a
generator of it that yields before each statement; calls of the functions named in ``inner`` become
``yield from``. So a test decides where the thread stops, and what it tests is the code that runs.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

__all__ = ["Meanwhile", "interleaved", "stepwise"]


class Meanwhile:
    """What happens between two statements of the owner's code that was made `interleaved`."""

    step: Callable[[], object] = staticmethod(lambda: None)


def interleaved(function: Callable[..., Any], **names: Any) -> Callable[..., Any]:
    """The function, with `Meanwhile.step` before each of its statements."""
    steps = stepwise(function, (), **names)

    def run(*arguments: Any, **options: Any) -> Any:
        going = steps(*arguments, **options)
        while True:
            try:
                next(going)
            except StopIteration as end:
                return end.value
            Meanwhile.step()

    return run


def stepwise(function: Callable[..., Any], inner: tuple[str, ...], **names: Any) -> Callable[..., Any]:
    """``names`` replace what the function's module has under them. Functions inside it are made so too."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    (definition,) = tree.body
    assert isinstance(definition, ast.FunctionDef)
    inside = [node for node in definition.body if isinstance(node, ast.FunctionDef)]
    for node in inside or [definition]:
        _Calls(inner).visit(node)
        node.body = _stopping(node.body)
    ast.fix_missing_locations(tree)
    module = inspect.getmodule(function)
    assert module is not None
    space = {**vars(module), **names}
    exec(compile(tree, f"<stepwise {function.__qualname__}>", "exec"), space)
    made: Callable[..., Any] = space[function.__name__]
    return made


def _stopping(body: list[ast.stmt]) -> list[ast.stmt]:
    found: list[ast.stmt] = []
    for statement in body:
        for name in ("body", "orelse", "finalbody"):
            if getattr(statement, name, None):
                setattr(statement, name, _stopping(getattr(statement, name)))
        for handler in getattr(statement, "handlers", ()):
            handler.body = _stopping(handler.body)
        found += [ast.Expr(ast.Yield(None)), statement]
    return found


class _Calls(ast.NodeTransformer):
    """Calls of generators wait for them. A generator that is thrown away is closed by an exception: nobody
    catches that one.
    """

    def __init__(self, inner: tuple[str, ...]) -> None:
        self._inner = inner

    def visit_Call(self, node: ast.Call) -> ast.expr:  # ast's name
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in self._inner:
            return ast.YieldFrom(node)
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.ExceptHandler:  # ast's name
        self.generic_visit(node)
        if isinstance(node.type, ast.Name) and node.type.id == "BaseException":
            node.type.id = "Exception"
        return node
