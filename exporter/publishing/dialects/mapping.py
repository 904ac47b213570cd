"""What a dialect says: one rule per upstream series, checked like the configuration."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from exporter.model.metric import METRIC_NAME, Kind
from exporter.publishing.dialects.catalogue import FAMILIES


def _close(given: str, known: Iterable[str]) -> str:
    close = get_close_matches(given[:80], known, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _family(name: str) -> str:
    if name not in FAMILIES:
        raise ValueError("there is no such family" + _close(name, FAMILIES))
    return name


def _series(name: str) -> str:
    if not METRIC_NAME.match(name):
        raise ValueError("expected the name of a series")
    return name


FamilyName = Annotated[str, AfterValidator(_family)]
SeriesName = Annotated[str, AfterValidator(_series)]


class Rule(BaseModel):
    """One upstream series and what becomes of it.

    A label of our family is taken from the upstream label of the same name, unless said otherwise. Labels that are not
    taken are dropped, and series that are then the same are added up, or the largest is taken. The order of the fields
    matters: a check that involves two of them stands at the later one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    family: FamilyName
    series: SeriesName
    minus: SeriesName | None = Field(default=None, description="taken off, after its labels were mapped too")
    over: SeriesName | None = Field(default=None, description="divided by, after its labels were mapped too")
    labels: dict[str, str] = Field(default={}, description="our label: their label")
    constant: dict[str, str] = Field(default={}, description="our label: what it always is")
    default: dict[str, str] = Field(default={}, description="our label: what it is when they do not have it")
    values: dict[str, dict[str, str]] = Field(default={}, description="our label: {their value: ours}")
    where: dict[str, tuple[str, ...]] = Field(default={}, description="their label: the values to take")
    hashed: tuple[str, ...] = Field(default=(), description="our labels that must not show what they hold")
    address: tuple[str, ...] = Field(default=(), description="our labels that hold a URL: only its origin is shown")
    numbers: dict[str, float] = Field(default={}, description="their number: ours, for states; others are dropped")
    factor: float = Field(default=1.0, gt=0, allow_inf_nan=False, description="makes base units of theirs")
    combine: Literal["sum", "max"] = "sum"
    bounds: tuple[float, ...] = Field(default=(), description="buckets to make of a histogram of ranges")

    @field_validator("minus", "over", "numbers", "bounds")
    @classmethod
    def _fits_the_kind(cls, given: object, info: ValidationInfo) -> object:
        family = FAMILIES.get(info.data.get("family", ""))
        if given and family is not None and (info.field_name == "bounds") != (family.kind is Kind.HISTOGRAM):
            raise ValueError(f"a {family.kind} does not take this")
        return given

    @field_validator("labels", "constant", "default", "values", "hashed", "address")
    @classmethod
    def _known_labels(cls, given: Iterable[str], info: ValidationInfo) -> Iterable[str]:
        family = FAMILIES.get(info.data.get("family", ""))
        if family is not None and any(label not in family.labels for label in given):
            known = f"it has {', '.join(family.labels)}" if family.labels else "it has none"
            raise ValueError(f"the family does not have such a label; {known}")
        return given

    @field_validator("numbers")
    @classmethod
    def _are_numbers(cls, given: dict[str, float]) -> dict[str, float]:
        for text in given:
            try:
                float(text)
            except ValueError:
                raise ValueError("expected numbers in quotes as keys") from None
        return given

    @property
    def states(self) -> dict[float, float]:
        """The conversion of numbers, by number."""
        return {float(theirs): ours for theirs, ours in self.numbers.items()}


class Dialect(BaseModel):
    """A whole mapping."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    rules: tuple[Rule, ...]

    @field_validator("rules")
    @classmethod
    def _some(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        if not rules:
            raise ValueError("needs at least one rule")
        return rules
