"""Files that a configuration names: secrets are read from them, other files are located and must exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from exporter.config.files import Unreadable, decode, read_bytes, require
from exporter.config.globs import is_pattern
from exporter.config.problems import Path, Report
from exporter.config.secrets import secret_fields
from exporter.config.types import Located

LARGEST_SECRET = 64 << 10
_FILE = "_file"


class References:
    """Walks plain values along the model they are meant for, before pydantic judges them.

    On its way it notes which model stands at which path, for whoever explains an unknown key.
    """

    def __init__(self, report: Report, base: FilePath) -> None:
        self.models: dict[Path, type[BaseModel]] = {}
        self.watched: dict[FilePath, None] = {}
        self._report = report
        self._base = base

    def resolve(self, model: type[BaseModel], values: dict[str, Any], path: Path = ()) -> None:
        """Replaces every `x_file` of a secret `x` by the secret, and makes other `…_file` paths absolute."""
        self.models[path] = model
        secrets = set(secret_fields(model))
        for key, value in list(values.items()):
            here = (*path, key)
            stem = key.removesuffix(_FILE)
            if key.endswith(_FILE) and stem in secrets:
                self._secret(values, key, stem, path)
            elif key in model.model_fields:
                if key.endswith(_FILE) and isinstance(value, str):
                    values[key] = str(self._existing(value, here))
                elif (located := _located(model.model_fields[key])) is not None:
                    values[key] = self._files(value, here, located)
                self._descend(model.model_fields[key].annotation, value, here)

    def _descend(self, annotation: Any, value: Any, path: Path) -> None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            if isinstance(value, dict):
                self.resolve(annotation, value, path)
            return
        origin, arguments = get_origin(annotation), get_args(annotation)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            for key, item in value.items() if isinstance(value, dict) else ():
                self._descend(arguments[1], item, (*path, key))
        elif isinstance(origin, type) and issubclass(origin, Sequence):
            for index, item in enumerate(value if isinstance(value, list) else ()):
                self._descend(arguments[0], item, (*path, index))
        else:  # a union, or an annotated type
            for argument in arguments:
                self._descend(argument, value, path)

    def _secret(self, values: dict[str, Any], key: str, stem: str, path: Path) -> None:
        named = values.pop(key)
        here, there = (*path, key), (*path, stem)
        if self._report.is_broken(here) or named is None:
            self._move(here, there)
        elif isinstance(named, str):
            if values.get(stem) is not None:
                self._report.broken(here, f"{stem} and {key} are both given: keep one", key=True)
                return
            self._move(here, there)
            values[stem] = self._content(named, here, there)
        elif isinstance(named, dict):
            self._secrets(values.setdefault(stem, {}), named, here, there)
        else:
            self._report.broken(here, "expected the path of a file")

    def _secrets(self, values: Any, named: dict[str, Any], here: Path, there: Path) -> None:
        if not isinstance(values, dict):
            return  # the secrets given beside the files are no mapping, which is told there
        self._move(here, there)
        for name, value in named.items():
            source, target = (*here, name), (*there, name)
            if name in values:
                self._report.broken(source, "given as text and as a file: keep one", key=True)
            elif isinstance(value, str):
                self._move(source, target)
                values[name] = self._content(value, source, target)
            elif not self._report.is_broken(source):
                self._report.broken(source, "expected the path of a file")

    def _move(self, source: Path, target: Path) -> None:
        """What is wrong with the secret itself is told at the place that names its file."""
        self._report.places.setdefault(target, self._report.places[source])
        if self._report.is_broken(source):
            self._report.mark_broken(target)

    def _content(self, named: str, here: Path, there: Path) -> str | None:
        file = self._locate(named)
        self.watched[file] = None
        try:
            text = decode(read_bytes(file, LARGEST_SECRET))
            text = text.removesuffix("\n").removesuffix("\r")
            if text:
                return text
            complaint = "the file is empty"
        except Unreadable as error:
            complaint = str(error)
        self._report.broken(here, f"cannot read {_shown(named, file)}: {complaint}")
        self._report.mark_broken(there)
        return None

    def _existing(self, named: str, here: Path) -> FilePath:
        file = self._locate(named)
        self.watched[file] = None
        try:
            require(file)
        except Unreadable as error:
            self._report.broken(here, f"cannot read {_shown(named, file)}: {error}")
        return file

    def _files(self, value: Any, here: Path, located: Located) -> Any:
        """The same names from the root, of one file or a list of them; whatever is no name is told elsewhere."""
        if isinstance(value, list):
            return [self._files(item, (*here, index), located) for index, item in enumerate(value)]
        if not isinstance(value, str) or self._report.is_broken(here):
            return value
        file = self._locate(value)
        if not (located.glob and is_pattern(file)):
            try:
                require(file)
            except Unreadable as error:
                # Whoever reads the file watches it. One that is not there may come, and mend the configuration.
                self.watched[file] = None
                self._report.broken(here, f"cannot read {_shown(value, file)}: {error}")
        return str(file)

    def _locate(self, named: str) -> FilePath:
        return self._base / named


def _located(field: FieldInfo) -> Located | None:
    return next((mark for mark in (*field.metadata, *_marks(field.annotation)) if isinstance(mark, Located)), None)


def _marks(annotation: Any) -> Iterator[Any]:
    for argument in get_args(annotation):
        yield argument
        yield from _marks(argument)


def _shown(named: str, file: FilePath) -> str:
    """The name of the file, unless it looks as if the secret itself stood where its file should be named."""
    return str(file) if named.isprintable() and "://" not in named and len(named) < 256 else "the file"
