"""Which fields of a model are secret, however deep their type hides it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from exporter.model.secret import Secret


def secret_fields(model: type[BaseModel]) -> Iterator[str]:
    """The names of the fields that hold a secret, or several by name: those that files can stand for."""
    for name, field in model.model_fields.items():
        if _holds_secret(field.annotation):
            yield name


def _holds_secret(annotation: Any) -> bool:
    if get_origin(annotation) is tuple:  # a list has no names to say which file is for which
        return False
    return annotation is Secret or any(map(_holds_secret, get_args(annotation)))
