"""How far a batch is: one line on stderr, drawn again and again."""

import sys
import time

_EVERY_S = 0.1
_EVERY_S_IN_A_FILE = 10.0  # where lines cannot be drawn again


class Progress:
    """Shown on a terminal, or, if asked for, as lines from time to time anywhere else."""

    def __init__(self, total: int, *, asked_for: bool) -> None:
        self._total, self._done, self._failed = total, 0, 0
        self._started = time.monotonic()
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._shown = (self._terminal and total > 1) or asked_for
        self._next = self._started

    def clear(self) -> None:
        """Makes way for another line."""
        if self._shown and self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def step(self, *, failed: bool) -> None:
        self._done += 1
        self._failed += failed
        now = time.monotonic()
        if not self._shown or (now < self._next and self._done < self._total):
            return
        self._next = now + (_EVERY_S if self._terminal else _EVERY_S_IN_A_FILE)
        line = self._line(now - self._started)
        sys.stderr.write(f"\r\x1b[K{line}" if self._terminal else f"{line}\n")
        sys.stderr.flush()

    def _line(self, seconds: float) -> str:
        rate = self._done / max(seconds, 1e-9)
        left = (self._total - self._done) / rate
        line = (
            f"{self._done:,} of {self._total:,} ({self._done * 100 // self._total} %), "
            f"{rate:.1f} images a second, {duration(left)} left"
        )
        return f"{line}, {self._failed:,} failed" if self._failed else line


class StripProgress:
    """How far one large image is: a line on a terminal, drawn again and again."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, done: int, count: int) -> None:
        if sys.stderr is None or not sys.stderr.isatty():
            return
        left = (time.monotonic() - self._started) / done * (count - done)
        line = f"strip {done:,} of {count:,}, {duration(left)} left" if done < count else ""
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()


def duration(seconds: float) -> str:
    """Such as 7 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
