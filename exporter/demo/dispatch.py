"""One job in the hands of a worker: tried, put back, or ended. It ends as delivered or as a dead letter."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from exporter.demo.delivery import Answer, ErrorType, Invalid, Request, Send
from exporter.demo.destination import Destination, Pace
from exporter.demo.figures import QueueFigures
from exporter.demo.letters import DeadLetters
from exporter.demo.queue import Job, JobQueue


class Dispatcher:
    """Decides what becomes of jobs, and counts it."""

    def __init__(self, queue: JobQueue, send: Send, now: Callable[[], float], seed: int, pace: Pace) -> None:
        self.figures = QueueFigures()
        self.letters = DeadLetters()
        self._queue = queue
        self._send = send
        self._now = now
        self._random = Random(seed)  # noqa: S311  # spreads attempts, guards nothing
        self._pace = pace

    async def process(self, job: Job, to: Destination) -> None:
        """As far as it can be brought now."""
        if job.started is None and not self._begin(job, to):
            self._fail(job, ErrorType.PERMANENT, "failed")
        elif job.request is None:
            self._succeed(job)
        elif not job.reserved and (wait := to.limiter.reserve()):
            job.reserved = True
            to.publisher.limited()
            self._queue.put_back(job, wait)
        elif (permit := to.breaker.permit()) is None:
            self._turned_away(job, job.request, to)
        else:
            answer = await self._send(job.request)
            to.breaker.report(permit, answer.accepted)
            self._answered(job, job.request, answer, to)

    def _begin(self, job: Job, to: Destination) -> bool:
        """Whether the alert may be sent; every attempt sends the same."""
        job.started = self._now()
        self.figures.wait.labels(job.priority).observe(job.started - job.submitted)
        try:
            job.request = to.publisher.request(job.target, to.url, job.alert)
        except Invalid:
            return False
        return True

    def _turned_away(self, job: Job, request: Request, to: Destination) -> None:
        """Nobody calls this receiver for now."""
        if job.answer is None:
            self._fail(job, ErrorType.TRANSIENT, "dlq")
        else:
            self._give_up(job, request, job.answer, to)

    def _answered(self, job: Job, request: Request, answer: Answer, to: Destination) -> None:
        job.attempts, job.answer, job.reserved = job.attempts + 1, answer, False
        to.publisher.attempted(request, answer)
        if job.attempts > 1:
            self.figures.retry_success.labels(job.target, str(job.attempts - 1)).observe(float(answer.accepted))
        if answer.accepted:
            to.publisher.settled(request, answer, self._since_start(job))
            self._succeed(job)
        elif answer.error is ErrorType.PERMANENT or job.letter is not None or job.attempts > self._pace.retries:
            self._give_up(job, request, answer, to)
        else:
            self.figures.retries.labels(job.target, answer.error).inc()
            to.publisher.retried(request, job.attempts)
            self._queue.put_back(job, self._backoff(job.attempts))

    def _backoff(self, attempts: int) -> float:
        pace = self._pace
        return min(pace.backoff * 2.0 ** (attempts - 1), pace.backoff_max) + self._random.random() * pace.jitter

    def _since_start(self, job: Job) -> float:
        now = self._now()
        return now - (now if job.started is None else job.started)

    def _give_up(self, job: Job, request: Request, answer: Answer, to: Destination) -> None:
        to.publisher.settled(request, answer, self._since_start(job))
        self._fail(job, answer.error, "failed")

    def _succeed(self, job: Job) -> None:
        self.figures.processed.labels(job.target, "succeeded").inc()
        self.figures.duration.labels(job.target, job.priority).observe(self._since_start(job))
        if job.letter is not None:
            self._replayed(job, job.letter, True)

    def _fail(self, job: Job, error: ErrorType, state: str) -> None:
        """State `dlq` is a job that was never tried."""
        self.figures.processed.labels(job.target, state).inc()
        if job.letter is not None:
            self._replayed(job, job.letter, False)
        else:
            self.letters.write(job)
            self.figures.letters_written.labels(job.target, error).inc()

    def _replayed(self, job: Job, letter: int, success: bool) -> None:
        self.letters.replayed(job.target, letter, success)
        self.figures.replays.labels(job.target, "success" if success else "failed").inc()
