"""Dead letters: what could not be delivered, kept for a second chance."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.demo.queue import Job
from exporter.demo.traffic import Alert

CAPACITY = 100  # per target; the oldest give way
CHANCES = 2


@dataclass(slots=True)
class Letter:
    """An alert somebody has not got."""

    id: int
    target: str
    alert: Alert
    replays: int = 0
    under_way: bool = False


class DeadLetters:
    """By target and id, the oldest first."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._letters: dict[str, dict[int, Letter]] = {}

    def write(self, job: Job) -> None:
        """Keeps what a job was to deliver."""
        letters = self._letters.setdefault(job.target, {})
        letters[job.id] = Letter(job.id, job.target, job.alert)
        if len(letters) > self._capacity:
            del letters[next(iter(letters))]

    def draw(self, target: str) -> Letter | None:
        """The oldest letter that is not being replayed; from now on it is."""
        for letter in self._letters.get(target, {}).values():
            if not letter.under_way:
                letter.under_way = True
                return letter
        return None

    def put_back(self, letter: Letter) -> None:
        """It was not replayed after all."""
        letter.under_way = False

    def replayed(self, target: str, id: int, success: bool) -> None:
        """How the replay ended: delivered, or one chance less."""
        letter = self._letters.get(target, {}).get(id)
        if letter is None:
            return  # it had to give way meanwhile
        letter.under_way = False
        letter.replays += 1
        if success or letter.replays >= CHANCES:
            del self._letters[target][id]

    def size(self, target: str) -> int:
        return len(self._letters.get(target, {}))
