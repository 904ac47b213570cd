"""The rows of the fault matrix that apply to what is built, each with the fault it stands for."""

from __future__ import annotations

import re

ROWS = {
    "CFG1": "the configuration is missing or unreadable at start",
    "CFG2": "a syntax error at start",
    "CFG3": "unknown keys, wrong types, values that contradict each other",
    "CFG4": "duplicate keys",
    "CFG5": "words and numbers that YAML 1.1 reads otherwise than the eye",
    "CFG6": "a tag that would execute code",
    "CFG7": "bombs: aliases, depth, size, characters, documents",
    "CFG8": "unset variables and unusable secret files",
    "CFG9": "a reload of a bad file",
    "CFG10": "reloads in a storm, during a cycle, of what cannot change",
    "CFG11": "swapped links, editors' renames, half-written files",
    "CFG13": "illegal, reserved and clashing declarations",
    "COL1": "a collector raises anything",
    "COL2": "a collector never returns",
    "COL3": "a collector swallows its cancellation",
    "COL4": "fifty collectors block their threads",
    "COL5": "a collector blocks the event loop",
    "COL6": "a result comes after its timeout",
    "COL7": "values that are no numbers",
    "COL8": "labels that are no text",
    "COL9": "two collectors with the same series",
    "COL10": "two collectors with the same name and another type",
    "COL11": "a counter goes down",
    "COL12": "an empty result",
    "COL13": "series vanish",
    "COL14": "a plugin that cannot be loaded, or misbehaves when it is",
    "UP1": "a target refuses, has no address, or swallows connections",
    "UP2": "a target accepts and is silent",
    "UP3": "a target drips",
    "UP16": "198 of 200 targets hang",
    "PROC1": "a stop at any moment",
    "PROC3": "SIGHUP with a bad configuration",
    "CARD1": "a million series",
    "CARD2": "new label values with every cycle",
    "CARD3": "huge label values, hundreds of labels, thousands of label names",
}

_ROW = re.compile(r"tests/faults/.*::test_([A-Z]+[0-9]+)_")


def row_of(nodeid: str) -> str | None:
    """The row a test is about; None for a test of something else."""
    found = _ROW.search(nodeid)
    return found[1] if found else None
