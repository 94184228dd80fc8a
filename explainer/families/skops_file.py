"""Opening a skops file: our own list of what may stand in it, read before anything is parsed.

A skops file describes objects by the names of their types. Only types on our lists are let
through, whatever skops itself trusts; of scikit-learn it would trust every estimator.
"""

from __future__ import annotations

import functools
import inspect
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import sklearn.utils
from sklearn.utils.validation import check_array

from explainer.errors import ArtefactRefused
from explainer.families.skops_types import (
    ALLOWED,
    ASKED_FOR,
    CHECKED_WITH,
    CURVES,
    INSTEAD,
    INTERPOLATED,
    OF_FUNCTIONS,
)

# To know the names of all estimators skops imports all of scikit-learn, for half a second at every
# start. We trust by our own list, so that it need not know any.
_all_estimators = sklearn.utils.all_estimators
sklearn.utils.all_estimators = lambda *_, **__: []
try:
    import skops.io
    from skops.io._protocol import PROTOCOL
finally:
    sklearn.utils.all_estimators = _all_estimators

LARGEST_UNPACKED = 1024 * 1024 * 1024
LARGEST_SCHEMA = 512 * 1024 * 1024
DEEPEST = 200
MOST_OBJECTS = 5_000_000
MOST_CURVED = 20
"""The degree of a curve; 3 is usual."""


def load(data: bytes) -> Any:
    """The object in a skops file. Raises ArtefactRefused for whatever is not on our lists."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            size = sum(info.file_size for info in members)
            described = archive.getinfo("schema.json").file_size
            whole = size <= LARGEST_UNPACKED and described <= LARGEST_SCHEMA
            schema = json.loads(archive.read("schema.json")) if whole else None
            strange = sorted(_strange(schema)) if whole else []
            known = whole and _is_current(schema)
    except Exception:
        # a crafted archive raises more than BadZipFile: bad names, unknown versions, no schema
        raise ArtefactRefused(
            "This is not a skops file.",
            "model",
            "Save the fitted pipeline with skops.io.dump.",
        ) from None
    if not whole:
        raise ArtefactRefused(
            "Unpacked, the model would be too large.", "model", "Use a smaller model."
        )
    if not known:
        raise ArtefactRefused(
            "The model was saved by another generation of skops.",
            "model",
            f"Save it again with skops.io.dump of skops {skops.__version__}.",
        )
    if strange:
        raise ArtefactRefused(
            f"The model holds types that are not loaded: {', '.join(strange[:20])[:1000]}.",
            "model",
            _way_out(strange),
        )
    try:
        model = skops.io.loads(data, trusted=sorted(set().union(*ALLOWED.values())))
    except Exception as fault:
        raise ArtefactRefused(
            f"The model could not be read ({type(fault).__name__}).",
            "model",
            "Save it again with skops.io.dump, with the versions the manifest names.",
        ) from None
    _make_harmless(model)
    return model


def objects_in(model: object) -> Iterator[Any]:
    """Every object of a loaded model once: attributes, members and items, wherever they stand."""
    seen: set[int] = set()
    todo: list[Any] = [model]
    while todo:
        thing = todo.pop()
        if thing is None or isinstance(
            thing, str | bytes | int | float | np.generic | type | ModuleType
        ):
            continue
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if len(seen) > MOST_OBJECTS:
            raise _harmful("The model is made of too many objects.")
        yield thing
        if isinstance(thing, dict):
            todo += thing.keys()
            todo += thing.values()
        elif isinstance(thing, list | tuple | set):
            todo += thing
        elif isinstance(thing, np.ndarray):
            if thing.dtype == object:
                todo += thing.ravel().tolist()
        elif isinstance(thing, functools.partial):
            todo += [*thing.args, *thing.keywords.values()]
        todo += getattr(thing, "__dict__", {}).values()


def _make_harmless(model: object) -> None:
    """Take from a loaded model whatever could make it do more than compute.

    The types of a file being known does not make its attributes so: scikit-learn calls methods by
    names that stand in attributes, reads back what it once stored in a folder, and starts
    processes.
    """
    for thing in objects_in(model):
        if isinstance(thing, functools.partial):
            _check_partial(thing)
        if f"{type(thing).__module__}.{type(thing).__name__}" in CURVES:
            _make_anew(thing)
        if not type(thing).__module__.startswith("sklearn."):
            continue
        attributes = getattr(thing, "__dict__", {})
        for name, value in attributes.items():
            _check_attribute(thing, name, value)
        if "n_jobs" in attributes:
            thing.n_jobs = None  # answers are the same; a model starts no process
        if "verbose" in attributes:
            thing.verbose = 0


def _make_anew(curve: Any) -> None:
    """Give a curve the attributes scipy itself gives one of the same knots: it trusts the sizes of
    a curve that is there, and looks at them when one is made."""
    # before scipy 1.18 in the curve itself, under other names; since then in one inside it
    inner = vars(curve).get("_delegate_to")
    given: dict[str, Any] = {**vars(curve), **getattr(inner, "__dict__", {})}
    knots: Any = given.get("_t", given.get("t"))
    weights: Any = given.get("_c", given.get("c"))
    degree = given.get("k")
    if not (
        type(degree) is int
        and 0 <= degree <= MOST_CURVED
        and all(type(each) is np.ndarray and each.dtype == np.float64 for each in (knots, weights))
        and knots.ndim == 1
        and weights.ndim == 2
        and len(weights) == len(knots) - degree - 1
    ):
        raise _harmful("A curve of the model is not whole.")
    try:
        made = vars(type(curve)(knots, weights, degree, extrapolate=bool(given.get("extrapolate"))))
    except (ValueError, TypeError):
        raise _harmful("A curve of the model is not whole.") from None
    vars(curve).clear()
    vars(curve).update(made)


def _check_attribute(thing: object, name: str, value: object) -> None:
    kind_of: Any = type(thing)  # mypy takes a type for something that cannot be hashed
    kind = kind_of.__name__
    where = f"{kind}.{name}"
    if where == "IsotonicRegression.f_" and vars(thing).keys() >= INTERPOLATED:
        return  # scikit-learn has just made it itself, of these
    if _is_taken(kind_of, name) or name.startswith("__"):
        raise _harmful(f"{where} stands in the place of what scikit-learn does there.")
    if name == "memory" and value is not None:
        raise _harmful(f"{where} names a folder that stored programs would be read from.")
    if name == "stack_method_" and not _only_asks(value):
        raise _harmful(f"{where} names more than {', '.join(sorted(ASKED_FOR))}.")
    if ("callback" in name or name in ("kw_args", "inv_kw_args")) and value:
        raise _harmful(f"{where} is not empty.")
    if name == "sample_posterior" and value:
        raise _harmful(f"{where} leaves to chance what is put in the place of a missing value.")
    if inspect.isroutine(value):
        raise _harmful(f"{where} is a function.")
    if isinstance(value, functools.partial) and (kind, name) != ("FunctionTransformer", "func"):
        raise _harmful(f"{where} is a function.")
    of_one_number = kind in OF_FUNCTIONS and name in ("func", "inverse_func")
    if isinstance(value, np.ufunc) and not of_one_number:
        raise _harmful(f"{where} is a function.")
    if name in ("func", "inverse_func") and not (
        value is None or isinstance(value, functools.partial | np.ufunc)
    ):
        raise _harmful(f"{where} is not known.")


@functools.cache
def _is_taken(kind: Any, name: str) -> bool:
    """Whether the class itself has a method or property of this name."""
    own = inspect.getattr_static(kind, name, None)
    return callable(own) or hasattr(own, "__get__")


def _only_asks(methods: object) -> bool:
    return isinstance(methods, list | tuple) and all(
        isinstance(method, str) and method in ASKED_FOR for method in methods
    )


def _check_partial(function: functools.partial[Any]) -> None:
    if (
        function.func is not check_array
        or function.args
        or vars(function)
        or not set(function.keywords) <= CHECKED_WITH
    ):
        raise _harmful("A function of the model is not the one scikit-learn checks arrays with.")


def _harmful(what: str) -> ArtefactRefused:
    return ArtefactRefused(
        what, "model", "Fit the pipeline anew, without it, and save it with skops.io.dump."
    )


def _strange(schema: object) -> set[str]:
    """Types that are on no list, by name; a description that nests too deep is strange itself."""
    return {
        f"{node.get('__module__')}.{node.get('__class__')}"
        for node in _nodes(schema)
        if not _allowed(node)
    }


def _way_out(strange: Iterable[str]) -> str:
    known = [INSTEAD[kind] for name in strange if (kind := name.rpartition(".")[2]) in INSTEAD]
    return known[0] if known else "Use the pipeline steps and models the documentation names."


def _is_current(schema: Any) -> bool:
    """Earlier protocols read the same description otherwise: names would stand where we do not
    look."""
    return type(schema["protocol"]) is int and schema["protocol"] == PROTOCOL


def _allowed(node: Mapping[str, Any]) -> bool:
    loader = node.get("__loader__")
    if loader == "CachedNode":
        return True  # it only points at another node of this file
    if loader == "FunctionNode" and "content" in node:
        return False  # a second name beside the one that is looked at
    names = ALLOWED.get(str(loader), frozenset())
    return f"{node.get('__module__')}.{node.get('__class__')}" in names


def _nodes(schema: object) -> Iterator[Mapping[str, Any]]:
    """Everything that says of itself what type it is, wherever it stands."""
    todo: list[tuple[object, int]] = [(schema, 0)]
    while todo:
        thing, depth = todo.pop()
        if depth > DEEPEST:
            raise ValueError("nested too deep")
        if isinstance(thing, dict):
            if "__class__" in thing or "__loader__" in thing:
                yield thing
            todo += [(inner, depth + 1) for inner in thing.values()]
        elif isinstance(thing, list):
            todo += [(inner, depth + 1) for inner in thing]
