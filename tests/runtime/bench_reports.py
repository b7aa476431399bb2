"""A report of a benchmark as a run on a fast machine might give it, for tests of what is drawn."""

from typing import Any

from jpegrt.runtime.bench.figures import load_published
from jpegrt.runtime.bench.machine import describe_decoders, describe_versions

Report = dict[str, Any]

# name -> (milliseconds of the network, multiply-adds a pixel, gain in dB)
MODELS = {
    "cellnet int8 openvino": (13.0, 37_728, 1.49),
    "cellnet-large int8 openvino": (48.0, 149_184, 1.5),
    "hrcnn int8 openvino": (140.0, 231_950, 0.87),
    "jscnn fp32 openvino": (1650.0, 1_070_208, 1.03),
}
QUALITIES = {10: 0.36, 30: 0.48, 50: 0.57, 90: 0.95}  # and milliseconds of a plain decode
SIZES = (0.1, 0.4, 1.6, 12.0, 100.0)


def make_report() -> Report:
    rows = []
    for quality, plain_ms in QUALITIES.items():
        for name, factor in (
            ("libjpeg", 1.0),
            ("libjpeg again", 1.003),
            ("Pillow", 1.4),
            ("coefficients only", 0.68),
            ("jpegrt without a model", 1.05),
        ):
            rows.append(row(name, "decode", None, quality, factor * plain_ms, plain_ms))
        for name, (network_ms, _, gain_db) in MODELS.items():
            restore = row(name, "restore", name, quality, network_ms + plain_ms, plain_ms)
            restore["gain_db"] = gain_db
            restore["over_by_hand"] = ratio(1.03)
            if "int8" in name:
                restore["times_fp32"] = ratio(3.21)
            rows.append(restore)
            rows.append(whole_file(name, quality, network_ms, plain_ms))
    setups = list(MODELS.items())
    return {
        "format": 1,
        "valid": True,
        "problems": [],
        "warnings": [],
        "label": "A fast machine",
        "date": "2026-11-21",
        "minutes": 12.3,
        "plan": {
            "threads": [1, 2],
            "subsamplings": ["grey"],
            "qualities": list(QUALITIES),
            "rounds": 15,
            "seconds": 0.05,
        },
        "machine": {
            "cpu": "A fast CPU",
            "architecture": "x86_64",
            "simd": ["avx2", "avx512_vnni"],
            "cpus": 2,
            "usable_cpus": 2,
            "memory_gib": 16.0,
            "system": "Linux 6",
            "governor": None,
            "largest_mhz": None,
            "load_average": 0.1,
            "clock": {"median_ms": 0.2, "fastest": 0.98, "slowest": 1.04, "stolen": 0.0},
        },
        "decoders": describe_decoders(),
        "versions": describe_versions(),
        "energy": None,
        "control": {
            "ratio": 1.003,
            "interval": [0.991, 1.012],
            "level": 0.99,
            "holds": True,
            "resolution": 0.012,
        },
        "models": [
            {
                "name": name,
                "model": name.split()[0],
                "precision": name.split()[1],
                "engine": name.split()[2],
                "threads": 2,
                "parameters": 284_756,
                "multiply_adds_per_px": cost,
                "live1_gain_db": gain_db,
                "cold_start": cold_start(200 + network_ms),
            }
            for name, (network_ms, cost, gain_db) in setups
        ],
        "plain_decoder": cold_start(0.0),
        "rows": rows,
        "throughput": {
            name: [
                {"threads": t, "batch": b, "images_per_s": 1e3 / network_ms * (t if b > 1 else 1)}
                for t in (1, 2)
                for b in (1, 8, 32)
            ]
            for name, (network_ms, _, _) in setups
        },
        "sizes": {
            name: [
                {
                    "megapixels": size,
                    "restore_ms": 2.6 * network_ms * size + 2,
                    "plain_decode_ms": 1.5 * size,
                    "peak_mib": 120 + 60 * size,
                }
                for size in SIZES
            ]
            for name, (network_ms, _, _) in setups
        },
        "side": {
            "picture": "bikes.webp",
            "quality": 50,
            "subsampling": "grey",
            "megapixels": 0.3932,
        },
        "published": [network.to_json() for network in load_published()],
        "images": [],
        "left_out": ["jpeg2png: no jpeg2png on the PATH"],
    }


def row(
    name: str, kind: str, setup: str | None, quality: int, ms: float, plain_ms: float
) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "setup": setup,
        "quality": quality,
        "subsampling": "grey",
        "images": 1,
        "ratio": ratio(ms / plain_ms),
        "latency_ms": {"first": 3 * ms, "p50": ms, "p90": 1.1 * ms, "p99": 1.3 * ms},
        "images_per_s": 1e3 / ms,
        "ms_per_megapixel": ms / 0.3932,
    }


def whole_file(name: str, quality: int, network_ms: float, plain_ms: float) -> dict[str, Any]:
    stages = {
        "read": 0.1,
        "entropy decode": 0.7 * plain_ms,
        "unpack": 0.3,
        "network": network_ms,
        "pixels": 0.2,
        "encode": 24.0,
    }
    whole = sum(stages.values())
    made = row(f"{name}, file to file", "file to file", name, quality, whole, plain_ms)
    return {**made, "stages_ms": stages, "whole_ms": whole, "stages_over_whole": 1.0}


def ratio(value: float) -> dict[str, float]:
    return {
        "median": value,
        "low": 0.97 * value,
        "high": 1.04 * value,
        "least": value,
        "most": value,
    }


def cold_start(network_ms: float) -> dict[str, float]:
    return {
        "imported_ms": 140.0,
        "opened_ms": 150.0 + network_ms,
        "first_ms": 160.0 + 2 * network_ms,
        "warm_ms": network_ms + 1,
        "peak_mib": 36.0 + network_ms,
    }
