"""The two formats a page can have."""

from __future__ import annotations

from enum import Enum

from exporter.model.metric import Family, Kind


class Format(Enum):
    """A format differs from the other in the lines above a family, and in the last line of the page."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

    @property
    def content_type(self) -> str:
        return self.value

    @property
    def end(self) -> bytes:
        """What a page ends with: by it a reader of OpenMetrics knows that nothing was cut off."""
        return b"# EOF\n" if self is Format.OPENMETRICS else b""

    def head(self, family: Family) -> bytes:
        """The lines that declare a family."""
        openmetrics = self is Format.OPENMETRICS
        name = family.base if openmetrics else family.name
        kind = "untyped" if family.kind is Kind.UNKNOWN and not openmetrics else family.kind.value
        help = family.help.replace("\\", r"\\").replace("\n", r"\n")
        if openmetrics:
            help = help.replace('"', r"\"")  # in the text format this would show up as a backslash
        lines = [f"# HELP {name} {help}\n", f"# TYPE {name} {kind}\n"]
        # A unit that the name does not end in makes OpenMetrics readers refuse the whole page.
        if openmetrics and family.unit and name.endswith("_" + family.unit):
            lines.append(f"# UNIT {name} {family.unit}\n")
        return "".join(lines).encode(errors="replace")  # a plugin's help text may hold what cannot be encoded
