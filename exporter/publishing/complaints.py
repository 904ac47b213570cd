"""What is wrong with a document, in words of ours: they name fields and never quote what stands in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from exporter.model.reason import Flaw

_WORDS = {
    "missing": "required and not given",
    "string_type": "expected a text",
    "string_unicode": "expected a text",
    "dict_type": "expected a mapping",
}


class Flawed(Exception):
    """A document gives no target; `detail` may be shown to everyone."""

    def __init__(self, flaw: Flaw, detail: str) -> None:
        super().__init__(flaw, detail)
        self.flaw = flaw
        self.detail = detail


def complaints(error: ValidationError, names: Mapping[str, str]) -> Iterator[str]:
    """One text for each field that is wrong. `names` gives the field as its writer knows it, where that differs."""
    told = set()
    for found in error.errors(include_url=False, include_input=False):
        # Further down stand names of headers, where a mistaken writer may have put the credential.
        field = str(found["loc"][0])
        if field in told:
            continue
        told.add(field)
        context = found.get("ctx", {})
        match found["type"]:
            case "value_error":
                words = str(context["error"])
            case "literal_error":
                words = f"expected {context['expected']}"
            case kind:
                words = _WORDS.get(kind, "not a valid value")
        yield f"{names.get(field, field)}: {words}"
