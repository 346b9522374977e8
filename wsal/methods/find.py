"""Methods by name, and their settings from `--set name=value`."""

import dataclasses
import importlib
import os
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from plusmv.core.errors import BadInput, one_line
from plusmv.wsal.methods.autoloc import AutoLoc
from plusmv.wsal.methods.basnet import BaSNet
from plusmv.wsal.methods.bm import BM
from plusmv.wsal.methods.co2net import CO2Net
from plusmv.wsal.methods.delu import DELU
from plusmv.wsal.methods.hideandseek import HideAndSeek
from plusmv.wsal.methods.method import Method
from plusmv.wsal.methods.stpn import STPN
from plusmv.wsal.methods.student import Student
from plusmv.wsal.methods.untrimmednets import UntrimmedNets
from plusmv.wsal.methods.wtalc import WTALC

METHODS: dict[str, type[Method]] = {
    "bm": BM,
    "stpn": STPN,
    "untrimmednets": UntrimmedNets,
    "hideandseek": HideAndSeek,
    "wtalc": WTALC,
    "autoloc": AutoLoc,
    "basnet": BaSNet,
    "co2net": CO2Net,
    "delu": DELU,
    "student": Student,
}


def find_method(name: str) -> type[Method]:
    """The class for a name in METHODS or a package.module:Class. Raises BadInput for an unknown one.

    Modules are imported from the working folder too.
    """
    if name in METHODS:
        return METHODS[name]
    module, separator, attribute = name.partition(":")
    if not (module and separator and attribute):
        raise BadInput(f"unknown method {name!r}; use {', '.join(METHODS)} or your own package.module:Class")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # a foreign module may raise anything
        raise BadInput(f"cannot import the method {name!r}: {type(error).__name__}: {one_line(error)}") from error
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise BadInput(f"{name!r} is not a method: it must be a subclass of plusmv.wsal.methods.method.Method")
    return found


def method_settings(name: str, fields: Mapping[str, Any]) -> Any:
    """A method's settings with these fields. Raises BadInput for an unknown field."""
    settings = find_method(name).Settings
    known = [field.name for field in dataclasses.fields(settings)]
    for field in fields:
        if field not in known:
            raise BadInput(f"method {name} has no setting {field!r}; it has {', '.join(known) or 'none'}")
    return settings(**fields)


def parse_settings(name: str, assignments: Iterable[str]) -> dict[str, Any]:
    """["name=value", ...] as values of the types that the method's settings declare."""
    hints, values = typing.get_type_hints(find_method(name).Settings), {}
    for assignment in assignments:
        field, separator, text = assignment.partition("=")
        if not separator:
            raise BadInput(f"--set {assignment!r} must be name=value")
        if field not in hints:
            raise BadInput(f"method {name} has no setting {field!r}; it has {', '.join(hints) or 'none'}")
        try:
            values[field] = _parse(text, hints[field])
        except ValueError as error:
            raise BadInput(f"--set {field}: invalid value {text!r}") from error
    return values


def _parse(text: str, kind: Any) -> Any:
    """The text as a value of the type: bool, int, float, str, Literal, or one of these | None."""
    origin, choices = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if text.lower() == "none" and type(None) in choices:
            return None
        return _parse(text, next(choice for choice in choices if choice is not type(None)))
    if origin is typing.Literal:
        return {str(choice): choice for choice in choices}.get(text) or _invalid(text)
    if kind is bool:
        named = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        return named[text.lower()] if text.lower() in named else _invalid(text)
    return kind(text)


def _invalid(text: str) -> typing.NoReturn:
    raise ValueError(text)
