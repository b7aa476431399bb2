"""ONNX graphs some of whose tensors are in another file (ONNX's external data), made to stand alone.

So every engine gets one graph, in bytes, and none opens a file that a graph names. Of protobuf this
reads what it takes to find the tensors; kernels/cpu/external_tensors.cpp does the same.
"""

from collections.abc import Iterator
from typing import NamedTuple

MOST_BYTES = 1 << 31  # as much as an ONNX file can have
_MOST_NESTED = 64

# Wire types of protobuf; its groups are none of ONNX's.
_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5
# ONNX's messages that tensors are in: their fields that lead to one.
_CHILDREN = {
    "Model": {7: "Graph", 20: "TrainingInfo", 25: "Function"},
    "TrainingInfo": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {
        5: "Tensor",
        6: "Graph",
        10: "Tensor",
        11: "Graph",
        22: "SparseTensor",
        23: "SparseTensor",
    },
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
}
# Fields of a tensor, and of an entry of its external data.
_RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 9, 13, 14
_KEY, _VALUE = 1, 2

_NOT_ONNX = "is not ONNX"
_FOREIGN = "has a tensor that is not in the bundle's weights"


class GraphError(ValueError):
    """What is wrong with a graph: completes "PATH ..."."""


def with_tensors_inside(graph: bytes, name: str | None, weights: bytes) -> bytes:
    """The graph with every tensor in it, wherever it keeps one: initializers, attributes, subgraphs.

    `weights` are the bytes of the one file, called `name`, that a tensor may be in. Raises
    GraphError for a tensor anywhere else, and for what is no ONNX.
    """
    return _Restoring(name, weights).copy("Model", memoryview(graph))


class _Field(NamedTuple):
    number: int
    content: int | memoryview | None  # of a varint; of what is delimited
    whole: memoryview  # with its tag


class _Restoring:
    def __init__(self, name: str | None, weights: bytes) -> None:
        self._name = None if name is None else name.encode()
        self._weights = memoryview(weights)
        self._left = MOST_BYTES  # a hostile graph may name the same bytes again and again

    def copy(self, kind: str, message: memoryview, depth: int = 0) -> bytes:
        if kind == "Tensor":
            return self._copy_tensor(message)
        if depth == _MOST_NESTED:
            raise GraphError(_NOT_ONNX)
        parts: list[bytes | memoryview] = []
        for field in _fields(message):
            child = _CHILDREN[kind].get(field.number)
            if child is None or not isinstance(field.content, memoryview):
                parts.append(field.whole)
            else:
                parts += _delimited(field.number, self.copy(child, field.content, depth + 1))
        return b"".join(parts)

    def _copy_tensor(self, tensor: memoryview) -> bytes:
        place: dict[bytes, bytes] = {}
        parts: list[bytes | memoryview] = []
        is_external = has_raw_data = False
        for number, content, whole in _fields(tensor):
            if number == _EXTERNAL_DATA and isinstance(content, memoryview):
                is_external = True
                entry = {
                    field.number: bytes(field.content)
                    for field in _fields(content)
                    if isinstance(field.content, memoryview)
                }
                place[entry.get(_KEY, b"")] = entry.get(_VALUE, b"")
            elif number == _DATA_LOCATION and isinstance(content, int) and content:
                is_external = True
            else:
                has_raw_data |= number == _RAW_DATA and isinstance(content, memoryview)
                parts.append(whole)
        if is_external:
            if has_raw_data or self._name is None or place.get(b"location") != self._name:
                raise GraphError(_FOREIGN)
            offset, length = (_number(place.get(key, b"")) for key in (b"offset", b"length"))
            if offset + length > len(self._weights) or length > self._left:
                raise GraphError(_FOREIGN)
            self._left -= length
            parts += _delimited(_RAW_DATA, self._weights[offset : offset + length])
        return b"".join(parts)


def _number(digits: bytes) -> int:
    if len(digits) > 18 or not digits.isdigit():
        raise GraphError(_FOREIGN)
    return int(digits)


def _fields(message: memoryview) -> Iterator[_Field]:
    """A message's fields, one after another."""
    position = 0
    while position < len(message):
        begin = position
        tag, position = _varint(message, position)
        number, wire_type = tag >> 3, tag & 7
        if tag >> 32 or not number:
            raise GraphError(_NOT_ONNX)
        content: int | memoryview | None = None
        if wire_type == _VARINT:
            content, position = _varint(message, position)
        elif wire_type == _DELIMITED:
            size, position = _varint(message, position)
            content = message[position : position + size]
            position += size
        elif wire_type in (_FIXED64, _FIXED32):
            position += 8 if wire_type == _FIXED64 else 4
        else:
            raise GraphError(_NOT_ONNX)
        if position > len(message):
            raise GraphError(_NOT_ONNX)
        yield _Field(number, content, message[begin:position])


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """It, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if position == len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, position
    raise GraphError(_NOT_ONNX)


def _delimited(number: int, content: bytes | memoryview) -> list[bytes | memoryview]:
    return [_encoded(number << 3 | _DELIMITED), _encoded(len(content)), content]


def _encoded(value: int) -> bytes:
    """As a varint."""
    digits = bytearray()
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])
