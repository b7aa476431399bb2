"""Writes the attacks on packed streams to corpus/packed, beside this file: what each is, by its name.

The first part of a name is what must become of the stream: ok_, damaged_ or unsupported_. Streams are
put together here by hand, by kernels/README.md, so that they owe nothing to the packer. Files that a
fuzzer found are added beside them by hand, under such a name.
"""

import struct
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus") / "packed"

RUN_BLOCKS = 32


def padded(run: bytes) -> bytes:
    return run + bytes(-len(run) % 4)


def sparse(*blocks: dict[int, int]) -> bytes:
    """A sparse run of blocks, each {zigzag position: value, DC as a difference}."""
    groups, masks, values, escapes = b"", b"", b"", b""
    for block in blocks:
        named = 0
        for g in range(8):
            mask = sum(1 << j for j in range(8) if 8 * g + j in block)
            if mask:
                named |= 1 << g
                masks += bytes([mask])
        groups += bytes([named])
        for _, value in sorted(block.items()):
            escape = not -127 <= value <= 127
            values += b"\x80" if escape else struct.pack("b", value)
            escapes += struct.pack("<h", value) if escape else b""
    return padded(groups + masks + values + escapes)


def dense(*blocks: list[int]) -> bytes:
    return b"".join(struct.pack("<64h", *block) for block in blocks)


def stream(
    rows: int,
    columns: int,
    *runs: bytes,
    magic: bytes = b"JPKC",
    version: int = 1,
    run_blocks: int = RUN_BLOCKS,
    size: int | None = None,
    zero: int = 0,
    index: list[int] | None = None,
) -> bytes:
    if index is None:
        index = [0]
        for run in runs:
            index.append(index[-1] + len(run) // 4)
    rest = struct.pack(f"<{len(index)}I", *index) + b"".join(runs)
    if size is None:
        size = 32 + len(rest)
    header = struct.pack("<4sHHIIQQ", magic, version, run_blocks, rows, columns, size, zero)
    return header + rest


def corpus() -> dict[str, bytes]:
    """Name of the file -> stream."""
    empty: list[dict[int, int]] = [{}] * RUN_BLOCKS
    full = dict.fromkeys(range(64), 1)
    two = stream(1, 2, sparse({0: 5, 1: -3, 63: 1}, {}))
    loud = [32767, -32768] * 32
    three_runs = [sparse(*empty), dense(*[loud] * RUN_BLOCKS), sparse({0: 300}, {9: -129})]
    return {
        "ok_two_blocks": two,
        "ok_three_runs": stream(6, 11, *three_runs),
        "ok_one_column": stream(40, 1, sparse(*[{0: 1}] * 32), sparse(*[{5: -128}] * 8)),
        "ok_every_value": stream(1, 3, sparse(full, full, full)),
        "ok_dense": stream(1, 2, dense(loud, loud)),
        "ok_dc_wraps": stream(1, 3, sparse({0: 32767}, {0: 32767}, {0: 32767})),
        # What no packer writes, but means something.
        "ok_empty_mask": stream(1, 1, padded(b"\x03\x00\x01\x05")),
        "ok_value_of_zero": stream(1, 1, padded(b"\x01\x02\x00")),
        "ok_needless_escape": stream(1, 1, padded(b"\x01\x02\x80\x01\x00")),
        "ok_dense_though_zero": stream(1, 1, dense([0] * 64)),
        "unsupported_version_2": stream(1, 2, sparse({}, {}), version=2),
        "unsupported_version_0": stream(1, 2, sparse({}, {}), version=0),
        "unsupported_run_of_64": stream(1, 2, sparse({}, {}), run_blocks=64),
        "unsupported_run_of_0": stream(1, 2, sparse({}, {}), run_blocks=0),
        "damaged_magic": stream(1, 2, sparse({}, {}), magic=b"JPKD"),
        "damaged_short_header": two[:31],
        "damaged_header_alone": stream(1, 2, index=[]),
        "damaged_truncated": two[:-4],
        "damaged_trailing_bytes": two + bytes(4),
        "damaged_size_too_large": stream(1, 2, sparse({}, {}), size=1 << 40),
        "damaged_size_overflows": stream(1, 2, sparse({}, {}), size=2**64 - 4),
        "damaged_reserved": stream(1, 2, sparse({}, {}), zero=1 << 63),
        "damaged_no_rows": stream(0, 2, index=[0]),
        "damaged_no_columns": stream(2, 0, index=[0]),
        "damaged_too_many_blocks": stream(1 << 14, 1 << 13, sparse(*empty)),
        "damaged_product_overflows": stream(1 << 31, 1 << 31, sparse(*empty)),
        "damaged_product_wraps_to_one": stream(0xFFFFFFFF, 0xFFFFFFFF, sparse({})),
        "damaged_index_too_short": stream(1 << 13, 1 << 13, sparse(*empty)),
        "damaged_index_begins_late": stream(1, 2, sparse({}, {}) * 2, index=[1, 2]),
        "damaged_index_ends_early": stream(1, 2, sparse({}, {}) * 2, index=[0, 1]),
        "damaged_index_ends_late": stream(1, 2, sparse({}, {}), index=[0, 2]),
        "damaged_index_ends_at_2_34": stream(1, 2, sparse({}, {}), index=[0, 2**32 - 1]),
        "damaged_index_goes_back": stream(1, 64, *[sparse(*empty)] * 2, index=[0, 17, 16]),
        "damaged_index_leaves": stream(1, 96, *[sparse(*empty)] * 3, index=[0, 2**31, 16, 24]),
        "damaged_run_of_nothing": stream(1, 64, sparse(*empty), index=[0, 0, 8]),
        "damaged_run_longer_than_dense": stream(1, 1, dense([0] * 64) + bytes(4)),
        "damaged_run_shorter_than_groups": stream(1, 32, bytes(28)),
        "damaged_masks_missing": stream(1, 4, b"\xff" * 4),
        "damaged_values_missing": stream(1, 2, b"\x01\x01\xff\xff"),
        "damaged_escapes_missing": stream(1, 1, b"\x01\x03\x80\x80"),
        "damaged_half_an_escape": stream(1, 1, b"\x01\x07\x80\x80\x01\x00\x00\x00"),
        "damaged_padding": stream(1, 1, b"\x01\x01\x05\x01"),
        "damaged_padding_of_four": stream(1, 1, sparse({0: 1}) + bytes(4)),
        "damaged_last_run_only": stream(1, 34, sparse(*empty), b"\xff\xff\x00\x00"),
    }


def main() -> None:
    CORPUS.mkdir(parents=True, exist_ok=True)
    for name, content in corpus().items():
        (CORPUS / name).write_bytes(content)


if __name__ == "__main__":
    main()
