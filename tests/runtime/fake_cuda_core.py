"""A stand-in for cuda-core whose device is the CPU, and which knows what is ordered behind what.

Work is done when it is enqueued, but what goes to the host gets there when its stream is waited for.
A stream is behind other work only if an event or the host says so: memory that goes back too early,
or a context on two streams at once, is found.
"""

import ctypes as ct
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

Work = int
LEGACY = 1


class CudaError(Exception):
    """cuda-core's own has no public base class either."""


class Capability(NamedTuple):
    major: int
    minor: int


class FakeCudaCore(ModuleType):
    """devices: how many there are. held: allocations and graphs that were not given back.

    is_idle: whether events that nobody waited for say that they are done.
    """

    def __init__(self, devices: int = 1) -> None:
        super().__init__("cuda.core")
        self.devices = devices
        self._current: dict[int, int] = {}  # thread -> device
        self.held = self.launches = 0
        self.is_idle = False
        self._works = 0
        self.finished: set[Work] = set()
        self.behind: dict[int, set[Work]] = {}  # stream -> the work that it is ordered behind
        self.recorders: dict[int, Builder] = {}
        self.arriving: list[tuple[int, int, bytes]] = []  # stream, address on the host, content
        self._handles = 0x7000
        self._made: dict[int, Device] = {}
        self.LEGACY_DEFAULT_STREAM = Stream(self, LEGACY)
        core = self

        class BoundStream:
            from_handle = staticmethod(lambda handle: Stream(core, handle))

        class BoundBuffer:
            from_handle = staticmethod(lambda pointer, size: Buffer(core, pointer, size))

        self.Stream, self.Buffer = BoundStream, BoundBuffer

    def Device(self, ordinal: int) -> "Device":
        if ordinal >= self.devices:
            raise CudaError("CUDA_ERROR_INVALID_DEVICE")
        return self._made.setdefault(ordinal, Device(self, ordinal))

    @property
    def current(self) -> int:
        """The calling thread's device, -1 if it has none."""
        return self._current.get(threading.get_ident(), -1)

    @current.setter
    def current(self, ordinal: int) -> None:
        self._current[threading.get_ident()] = ordinal

    def new_handle(self) -> int:
        self._handles += 16
        return self._handles

    def enqueue(self, handle: int) -> Work:
        """New work on a stream."""
        self._works += 1
        self.behind.setdefault(handle, set()).add(self._works)
        return self._works

    def is_behind(self, handle: int, work: Work) -> bool:
        return work in self.behind.get(handle, set()) | self.finished


class Device:
    def __init__(self, core: FakeCudaCore, ordinal: int) -> None:
        self._core, self.device_id = core, ordinal
        self.compute_capability = Capability(8, 6)
        self.default_stream = core.LEGACY_DEFAULT_STREAM

    def set_current(self) -> None:
        self._core.current = self.device_id

    def _require_current(self) -> None:
        assert self._core.current == self.device_id, "the device is not current"

    def allocate(self, size: int, *, stream: "Stream") -> "Buffer":
        self._require_current()
        assert size > 0
        memory = np.full(size + 256, 0xA5, np.uint8)
        address = memory.ctypes.data
        self._core.held += 1
        return Buffer(self._core, address + -address % 256, size, memory, stream)

    def create_stream(self) -> "Stream":
        self._require_current()
        return Stream(self._core, self._core.new_handle())

    def create_graph_builder(self) -> "Builder":
        self._require_current()
        return Builder(self._core)


class Stream:
    def __init__(self, core: FakeCudaCore, handle: int) -> None:
        assert handle, "the default stream has a name of its own"
        self._core, self.handle = core, handle

    def record(self, event: "Event | None" = None) -> "Event":
        event = event or Event(self._core)
        event.works = set(self._core.behind.get(self.handle, set()))
        return event

    def wait(self, event: "Event") -> None:
        self._core.behind.setdefault(self.handle, set()).update(event.works)

    def sync(self) -> None:
        self._core.finished |= self._core.behind.get(self.handle, set())
        for item in [item for item in self._core.arriving if item[0] == self.handle]:
            self._core.arriving.remove(item)
            ct.memmove(item[1], item[2], len(item[2]))


class Event:
    def __init__(self, core: FakeCudaCore) -> None:
        self._core = core
        self.works: set[Work] = set()

    @property
    def is_done(self) -> bool:
        return self._core.is_idle or self.works <= self._core.finished

    def sync(self) -> None:
        self._core.finished |= self.works


class Buffer:
    """Device memory if it was allocated, else memory of others."""

    def __init__(
        self,
        core: FakeCudaCore,
        handle: int,
        size: int,
        memory: Any = None,
        stream: Stream | None = None,
    ) -> None:
        self._core, self.handle, self.size, self._memory = core, handle, size, memory
        self._uses: set[Work] = set()
        if stream:
            _allocated[handle] = self
            self.use(core.enqueue(stream.handle))

    def use(self, work: Work) -> None:
        self._uses.add(work)

    def copy_from(self, source: "Buffer", *, stream: Stream) -> None:
        assert source.size == self.size
        self._check(stream)
        ct.memmove(self.handle, source.handle, self.size)

    def copy_to(self, target: "Buffer", *, stream: Stream) -> None:
        assert target.size == self.size and target._memory is None
        self._check(stream)
        content = ct.string_at(self.handle, self.size)
        self._core.arriving.append((stream.handle, target.handle, content))

    def _check(self, stream: Stream) -> None:
        assert self._memory is not None
        assert all(self._core.is_behind(stream.handle, work) for work in self._uses)
        self.use(self._core.enqueue(stream.handle))

    def close(self, stream: Stream) -> None:
        assert all(self._core.is_behind(stream.handle, work) for work in self._uses), "still in use"
        del _allocated[self.handle]
        self._memory[:] = 0x5A
        self._memory = None
        self._core.held -= 1


_allocated: dict[int, Buffer] = {}


def allocated(address: int, size: int) -> Buffer:
    """The memory of a device that begins there."""
    buffer = _allocated[address]
    assert buffer.size >= size
    return buffer


class Builder:
    """A stream that records: what it takes is run by the graph that it becomes."""

    def __init__(self, core: FakeCudaCore) -> None:
        self._core = core
        self.stream = Stream(core, core.new_handle())
        self.works: list[Callable[[int], None]] = []
        self.is_building = False

    def begin_building(self, mode: str) -> "Builder":
        assert mode in ("global", "thread_local", "relaxed")
        self._core.recorders[self.stream.handle] = self
        self.is_building = True
        return self

    def end_building(self) -> "Builder":
        assert self.is_building
        del self._core.recorders[self.stream.handle]
        self.is_building = False
        return self

    def complete(self) -> "Graph":
        assert not self.is_building
        return Graph(self._core, list(self.works))

    def close(self) -> None:
        self._core.recorders.pop(self.stream.handle, None)


class Graph:
    def __init__(self, core: FakeCudaCore, works: list[Callable[[int], None]]) -> None:
        self._core, self._works = core, works
        core.held += 1

    def launch(self, stream: Stream) -> None:
        assert self._works
        self._core.launches += 1
        for work in self._works:
            work(stream.handle)

    def close(self) -> None:
        self._works = []
        self._core.held -= 1
