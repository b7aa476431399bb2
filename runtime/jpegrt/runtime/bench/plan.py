"""What a run measures."""

from dataclasses import dataclass

from jpegrt.runtime.bench.workload import GREY

BY_HAND, TOOLS = "by-hand", "tools"
DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class Plan:
    """The options of `jpegrt bench`, but for its images and its reports.

    precisions: none is each model's own. threads: the last is what images are restored with; all
    are compared in throughput. batches: how many images are handed over at once. megapixels: sizes
    whose latency is compared. baselines: of BY_HAND, TOOLS and what other parts register.
    label: what to call the machine, where the system does not tell it well. seconds: how long a
    contender is timed in a round, at least.
    """

    models: tuple[str, ...] = ("cellnet",)
    precisions: tuple[str, ...] = ()
    engines: tuple[str, ...] = ("auto",)
    qualities: tuple[int, ...] = (10, 30, 50, 90)
    subsamplings: tuple[str, ...] = (GREY,)
    threads: tuple[int, ...] = (1,)
    batches: tuple[int, ...] = (1, 8)
    megapixels: tuple[float, ...] = (0.1, 0.4, 1.6)
    baselines: tuple[str, ...] = (BY_HAND, TOOLS)
    device: str = "cpu"
    label: str = ""
    rounds: int = 15
    seconds: float = 0.05

    @property
    def side_quality(self) -> int:
        """Of what is measured at one quality: 50, or the nearest."""
        return min(self.qualities, key=lambda quality: abs(quality - 50))

    @property
    def side_rounds(self) -> int:
        return max(3, self.rounds // 3)
