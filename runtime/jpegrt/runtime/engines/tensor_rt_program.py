"""One graph's engine in a GPU's memory, and the contexts that run it.

A context runs one image at a time, on one stream: each thread borrows one for as long as it
enqueues, and the next, on another stream, waits on the device for what the last has enqueued.
Contexts hold no memory of their own. What an image of that size needs is taken from the device's
pool on the stream, and given back there.

An image of the same size at the same addresses as the one before is recorded as a CUDA graph, which
those after it launch, until one differs.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from jpegrt.kernels import DeviceTensors
from jpegrt.runtime.tensorrt_vendor import make_log

Shape = tuple[int, ...]


class ProgramError(Exception):
    """The vendor's library refused something; the text is its reason."""


class SizeError(ProgramError):
    """No profile of the engine takes the inputs."""


class Program:
    """Threads share it. trt: a flavour's module; device: cuda-core's, which is current.

    Raises ProgramError.
    """

    def __init__(self, trt: Any, device: Any, content: bytes) -> None:
        self._trt, self._device, self._log = trt, device, make_log(trt)
        self._runtime = trt.Runtime(self._log)
        self._engine = self._runtime.deserialize_cuda_engine(content)
        if self._engine is None:
            raise ProgramError(str(self._log))
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        modes = {name: self._engine.get_tensor_mode(name) for name in names}
        self._inputs = {name for name in names if modes[name] == trt.TensorIOMode.INPUT}
        self._outputs = set(names) - self._inputs
        for name in names:
            if (dtype := self._engine.get_tensor_dtype(name)) != trt.float32:
                raise ProgramError(f"its tensor {name} is {dtype}, not float32")
        self._profiles = [
            {name: self._limits(name, index) for name in self._inputs}
            for index in range(self._engine.num_optimization_profiles)
        ]
        self._idle: list[_Context] = []
        self._lock = threading.Lock()

    def run(self, inputs: DeviceTensors, outputs: DeviceTensors, stream: Any) -> None:
        """Enqueues the graph on a stream of cuda-core's. Raises ProgramError."""
        if set(inputs) != self._inputs or set(outputs) != self._outputs:
            known = ", ".join(sorted(self._inputs | self._outputs))
            raise ProgramError(f"its tensors are {known}")
        profile = self._profile({name: tensor.shape for name, tensor in inputs.items()})
        with self._borrow(stream) as context:
            context.run(profile, inputs, outputs, stream)

    def _limits(self, name: str, profile: int) -> tuple[Shape, Shape]:
        least, _, largest = self._engine.get_tensor_profile_shape(name, profile)
        return tuple(least), tuple(largest)

    def _profile(self, shapes: Mapping[str, Shape]) -> int:
        """The first that takes the shapes: they are listed from small to large."""
        for index, limits in enumerate(self._profiles):
            if all(_is_within(shape, *limits[name]) for name, shape in shapes.items()):
                return index
        raise SizeError(f"no profile takes {dict(shapes)}")

    @contextmanager
    def _borrow(self, stream: Any) -> Iterator["_Context"]:
        """A context for this thread alone. One that failed does not come back."""
        handle = int(stream.handle)
        with self._lock:
            same = [context for context in self._idle if context.stream == handle]
            free = same or [context for context in self._idle if context.is_done]
            context = free[0] if free else None
            if context:
                self._idle.remove(context)
        if context is None:
            context = _Context(self._trt, self._engine, self._device, self._log)
        yield context
        with self._lock:
            self._idle.append(context)


def _is_within(shape: Shape, least: Shape, largest: Shape) -> bool:
    return len(shape) == len(least) and all(
        low <= size <= high for low, size, high in zip(least, shape, largest, strict=True)
    )


@dataclass(frozen=True)
class _Run:
    """What has to be the same for a recording to be launched again."""

    profile: int
    inputs: tuple[tuple[str, int, Shape], ...]
    outputs: tuple[tuple[str, int, Shape], ...]

    @property
    def shapes(self) -> tuple[int, tuple[tuple[str, Shape], ...]]:
        return self.profile, tuple((name, shape) for name, _, shape in self.inputs)


class _Context:
    """An execution context, and what it last did. stream: the handle of the one it last ran on."""

    def __init__(self, trt: Any, engine: Any, device: Any, log: Any) -> None:
        self.stream: int | None = None
        self._done: Any = None  # recorded behind its last run
        self._device, self._log = device, log
        strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        self._context = engine.create_execution_context(strategy)
        if self._context is None:
            raise ProgramError(str(log))
        self._last: _Run | None = None
        self._scratch_bytes = 0  # for the shapes of the last run
        self._recording: _Recording | None = None
        self._is_recordable = True

    def __del__(self) -> None:
        # Neither the context nor a recording's memory may go while the device uses them.
        if self._done is not None:
            self._done.sync()
            self._forget_recording(self._device.default_stream)

    @property
    def is_done(self) -> bool:
        return self._done is None or bool(self._done.is_done)

    def run(self, profile: int, inputs: DeviceTensors, outputs: DeviceTensors, stream: Any) -> None:
        """Raises ProgramError; the context must then not be used again."""
        if self._done is not None and self.stream != int(stream.handle):
            stream.wait(self._done)
        self.stream = int(stream.handle)
        run = _Run(
            profile,
            *(
                tuple((n, t.pointer, t.shape) for n, t in group.items())
                for group in (inputs, outputs)
            ),
        )
        try:
            if run != self._last:
                self._forget_recording(stream)
            elif self._recording is None and self._is_recordable:
                self._recording = self._record(run, stream)
                self._is_recordable = self._recording is not None
            if self._recording:
                self._recording.graph.launch(stream)
            else:
                self._enqueue(run, stream)
            self._last = run
        finally:
            self._done = stream.record(self._done)

    def _enqueue(self, run: _Run, stream: Any) -> None:
        if self._last is None or run.shapes != self._last.shapes:
            self._shape(run, stream)
        scratch = self._bind(run, stream)
        try:
            self._check(self._context.execute_async_v3(int(stream.handle)))
        finally:
            if scratch:
                scratch.close(stream)

    def _shape(self, run: _Run, stream: Any) -> None:
        """The profile, the inputs' shapes, and what follows from them."""
        context = self._context
        if self._last is None or run.profile != self._last.profile:
            self._check(context.set_optimization_profile_async(run.profile, int(stream.handle)))
        for name, _, shape in run.inputs:
            self._check(context.set_input_shape(name, shape))
        if missing := context.infer_shapes():
            raise ProgramError(f"the shapes of {', '.join(missing)} do not follow from the inputs'")
        for name, _, shape in run.outputs:
            if (own := tuple(context.get_tensor_shape(name))) != shape:
                raise ProgramError(f"its output {name} has shape {own}, not {shape}")
        self._scratch_bytes = int(context.update_device_memory_size_for_shapes())

    def _bind(self, run: _Run, stream: Any) -> Any:
        """Addresses of tensors and of scratch memory, which is returned; None if none is needed."""
        scratch = None
        if self._scratch_bytes:
            scratch = self._device.allocate(self._scratch_bytes, stream=stream)
            self._context.set_device_memory(int(scratch.handle), self._scratch_bytes)
        for name, pointer, _ in (*run.inputs, *run.outputs):
            self._check(self._context.set_tensor_address(name, pointer))
        return scratch

    def _record(self, run: _Run, stream: Any) -> "_Recording | None":
        """The run as a CUDA graph, which was run once before; None if it cannot be recorded."""
        scratch = self._bind(run, stream)
        builder = self._device.create_graph_builder()
        recorder = int(builder.stream.handle)
        graph = None
        # RTX compiles kernels for new shapes meanwhile, and says when they are all there.
        is_capturable = getattr(self._context, "is_stream_capturable", lambda _: True)
        if is_capturable(recorder):
            # Of a capture that something made invalid; cuda-core's errors have no public base class.
            with suppress(Exception):
                builder.begin_building("thread_local")
                recorded = self._context.execute_async_v3(recorder)
                builder.end_building()
                graph = builder.complete() if recorded else None
        builder.close()
        if graph is None:
            self._log.forget()
            if scratch:
                scratch.close(stream)
            return None
        return _Recording(graph, scratch)

    def _forget_recording(self, stream: Any) -> None:
        if self._recording:
            self._recording.graph.close()
            if self._recording.scratch:
                self._recording.scratch.close(stream)
        self._recording = None

    def _check(self, went_well: bool) -> None:
        if not went_well:
            reason = str(self._log)
            self._log.forget()
            raise ProgramError(reason)


@dataclass(frozen=True)
class _Recording:
    """A CUDA graph, and the scratch memory whose address is in it."""

    graph: Any
    scratch: Any
