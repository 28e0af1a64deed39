"""Rules of the code that import contracts cannot say, as a check of the syntax tree.

An exception is one line, marked with the rule's name and the reason (CONTRIBUTING.md):

    except Exception as error:  # allow(broad-except): the supervisor reports any fault and stops the node

Rules, and where they hold:

- bare-assert (everywhere): `python -O` removes it; raise InvariantViolation.
- broad-except (everywhere): a parser lets only DecodeError out, a bug must stop the node.
- loose-digits (everywhere): str.isdigit, isdecimal and isnumeric accept digits of other scripts; int() then
  reads two spellings as one number. Compare with an explicit ASCII set.
- float (pure rooms): no float literal, no float(), no true division: amounts are integers.
- set-order (pure rooms and ledger): the order of a set of strings changes with PYTHONHASHSEED; sort it first.
- hash-order (pure rooms and ledger): hash() and id() differ from process to process.
- clock (pure rooms): datetime.now and its like, local time zones; time comes in the block.
- unreasoned-mark (everywhere): a mark without a reason, for an unknown rule, or that excuses nothing.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

PURE_ROOMS = frozenset({"kernel", "proof", "wire"})
ORDERED_ROOMS = PURE_ROOMS | {"ledger"}

RULES = frozenset({"bare-assert", "broad-except", "loose-digits", "float", "set-order", "hash-order", "clock"})
MARK = re.compile(r"#\s*allow\((?P<rule>[^)]*)\)(?::\s*(?P<reason>\S.*))?")

LOOSE_DIGITS = frozenset({"isdigit", "isdecimal", "isnumeric"})
CLOCK_OWNERS = frozenset({"date", "datetime", "dt"})
CLOCKS = frozenset({"now", "today", "utcnow", "fromtimestamp"})
SET_MAKERS = frozenset({"set", "frozenset"})
# The first read their argument in its order, the others do not show it.
ORDER_READERS = frozenset({"list", "tuple", "enumerate", "iter", "map", "filter", "zip", "reversed", "dict"})
ORDER_FREE = frozenset({"all", "any", "frozenset", "len", "max", "min", "set", "sorted", "sum"})
SET_OPERATORS = (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)
SET_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference"})

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef


class Finding(NamedTuple):
    """One broken rule at one line of one room's source."""

    line: int
    rule: str
    what: str


@dataclass(frozen=True)
class Mark:
    """An exception that somebody asked for on one line."""

    line: int
    rule: str
    reason: str


def findings(source: str, room: str) -> list[Finding]:
    """Return what breaks the rules in `source`, a module of `room` ("" for the package's own top level)."""
    tree = ast.parse(source)
    marks = list(_marks(source))
    raw = sorted(set(_broken(tree, room)))
    kept = [f for f in raw if not any(m.line == f.line and m.rule == f.rule and m.reason for m in marks)]
    used = {(f.line, f.rule) for f in raw}
    for mark in marks:
        if mark.rule not in RULES:
            kept.append(Finding(mark.line, "unreasoned-mark", f"there is no rule {mark.rule!r}"))
        elif not mark.reason:
            kept.append(Finding(mark.line, "unreasoned-mark", "a mark gives its reason after a colon"))
        elif (mark.line, mark.rule) not in used:
            kept.append(Finding(mark.line, "unreasoned-mark", f"nothing here breaks {mark.rule}"))
    return sorted(kept)


def _marks(source: str) -> Iterator[Mark]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and (found := MARK.search(token.string)):
            yield Mark(token.start[0], found["rule"], found["reason"] or "")


def _broken(tree: ast.Module, room: str) -> Iterator[Finding]:
    for node in ast.walk(tree):
        yield from _anywhere(node)
        if room in PURE_ROOMS:
            yield from _floats(node)
            yield from _clocks(node)
        if room in ORDERED_ROOMS:
            yield from _hashes(node)
    if room in ORDERED_ROOMS:
        yield from _set_order(tree, frozenset())


def _anywhere(node: ast.AST) -> Iterator[Finding]:
    match node:
        case ast.Assert():
            yield Finding(node.lineno, "bare-assert", "assert vanishes under -O")
        case ast.ExceptHandler() if _is_broad(node.type):
            yield Finding(node.lineno, "broad-except", "name the exceptions that are expected here")
        case ast.Attribute(attr=attr) if attr in LOOSE_DIGITS:
            yield Finding(node.lineno, "loose-digits", f".{attr} accepts digits of other scripts")
        case _:
            pass


def _is_broad(caught: ast.expr | None) -> bool:
    match caught:
        case None:
            return True
        case ast.Tuple(elts=each):
            return any(_is_broad(one) for one in each)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in {"Exception", "BaseException"}
        case _:
            return False


def _floats(node: ast.AST) -> Iterator[Finding]:
    match node:
        case ast.Constant(value=float() | complex()):
            yield Finding(node.lineno, "float", f"literal {node.value!r}")
        case ast.Call(func=ast.Name(id="float" | "complex" as name)):
            yield Finding(node.lineno, "float", f"{name}()")
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            yield Finding(node.lineno, "float", "true division; use // with a named rounding")
        case _:
            pass


def _clocks(node: ast.AST) -> Iterator[Finding]:
    match node:
        case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=attr) if (
            owner in CLOCK_OWNERS and attr in CLOCKS
        ):
            yield Finding(node.lineno, "clock", f"{owner}.{attr}")
        case ast.Call(func=ast.Attribute(attr="astimezone"), args=[], keywords=[]):
            yield Finding(node.lineno, "clock", "astimezone() takes the machine's zone")
        case _:
            pass


def _hashes(node: ast.AST) -> Iterator[Finding]:
    match node:
        case ast.Call(func=ast.Name(id="hash" | "id" as name)):
            yield Finding(node.lineno, "hash-order", f"{name}() differs from process to process")
        case _:
            pass


def _set_order(scope: Scope, outer: frozenset[str]) -> Iterator[Finding]:
    """Look for sets whose order is read. A hint: it knows literals, calls, annotations and names."""
    nodes = list(_own_nodes(scope))
    own = _set_names(scope, nodes)
    names = outer | own
    # Methods see a class's fields as self.x only.
    inner = outer | {f"self.{name}" for name in own} if isinstance(scope, ast.ClassDef) else names
    for node in nodes:
        match node:
            case ast.For() | ast.AsyncFor() | ast.comprehension() if _is_set(node.iter, names):
                yield Finding(node.iter.lineno, "set-order", "iterates over a set; sort it first")
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in ORDER_READERS:
                for argument in arguments:
                    if _is_set(argument, names):
                        yield Finding(argument.lineno, "set-order", f"{name}() reads a set's order; sort it")
            case ast.Call(func=ast.Attribute(attr="join" | "pop" as attr, value=owner), args=arguments):
                read = arguments[:1] if attr == "join" else [owner] if not arguments else []
                if any(_is_set(each, names) for each in read):
                    yield Finding(node.lineno, "set-order", f".{attr} reads a set's order")
            case ast.Starred(value=value) if _is_set(value, names):
                yield Finding(node.lineno, "set-order", "unpacks a set")
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda() | ast.ClassDef():
                yield from _set_order(node, inner)
            case _:
                pass


def _own_nodes(scope: Scope) -> Iterator[ast.AST]:
    """Walk `scope` without going into its functions and classes; leave out loops whose order nobody sees."""
    waiting: list[ast.AST] = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, SCOPES):
            continue
        for child in ast.iter_child_nodes(node):
            if isinstance(node, ast.SetComp) and isinstance(child, ast.comprehension):
                waiting.extend(ast.iter_child_nodes(child))
            elif _is_order_free_call(node) and isinstance(child, ast.GeneratorExp | ast.ListComp):
                waiting.append(child.elt)
                for loop in child.generators:
                    waiting.extend(ast.iter_child_nodes(loop))
            else:
                waiting.append(child)


def _is_order_free_call(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name in ORDER_FREE
        case _:
            return False


def _set_names(scope: Scope, nodes: list[ast.AST]) -> frozenset[str]:
    names: set[str] = set()
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
        every = [*scope.args.posonlyargs, *scope.args.args, *scope.args.kwonlyargs]
        names |= {a.arg for a in every if _is_set_annotation(a.annotation)}
    for node in nodes:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                if _is_set_annotation(annotation):
                    names.add(name)
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_set(value, frozenset()):
                names.add(name)
            case _:
                pass
    return frozenset(names)


def _is_set_annotation(annotation: ast.expr | None) -> bool:
    match annotation:
        case ast.Subscript(value=ast.Name(id=name)) | ast.Name(id=name):
            return name in SET_MAKERS | {"AbstractSet", "Set", "FrozenSet", "MutableSet"}
        case _:
            return False


def _is_set(node: ast.expr, names: frozenset[str]) -> bool:
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id=name)):
            return name in SET_MAKERS
        case ast.Call(func=ast.Attribute(attr=attr)):
            return attr in SET_METHODS
        case ast.Name(id=name):
            return name in names
        case ast.Attribute(value=ast.Name(id="self"), attr=attr):
            return f"self.{attr}" in names
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, SET_OPERATORS):
            return _is_set(left, names) or _is_set(right, names)
        case _:
            return False
