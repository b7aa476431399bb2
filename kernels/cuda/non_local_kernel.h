// The non-local operator as attention: a thread block keeps its queries and streams the image's
// keys through shared memory, with an online softmax.
//
// Tensor cores multiply patches: |q - k|^2 = |q|^2 + |k|^2 - 2 q.k. That cancels where it matters
// most, for patches that are alike, so each such distance comes with a bound of its error. Where
// the bound, as a change of the logit, is more than the kernel may be wrong by, the pair's distance
// is computed once more from differences, unless even the bound leaves its weight negligible.
// Whatever is computed twice is thus rare for small h (few keys count) as well as for large h (the
// bound is small). Patches of float32 are centred and split into two halves each, hi + lo, and so
// are their values and weights; lo * lo is left out.
#pragma once

#include <cmath>

#include "mma.h"
#include "non_local_arguments.h"

namespace jpegrt::cuda {

constexpr uint32_t kQueries = kQueryTileWidth * kQueryTileHeight;
constexpr uint32_t kKeys = kKeyTileSide * kKeyTileSide;
constexpr uint32_t kFeatures = 32;         // a patch's numbers, filled up with zeros
constexpr uint32_t kOnes = kFeatures - 1;  // a feature of every value that is 1: its sum is S
constexpr uint32_t kKeyTiles = kKeys / 8;  // accumulators of logits a thread holds
constexpr uint32_t kValueTiles = kFeatures / 8;

// Logits are in bits: weights are 2^logit.
constexpr float kLog2E = 1.44269504f;
constexpr float kLeastSquaredH = 1e-6f;
// What is this much below the largest, for all keys of the largest image, adds up to 2^-16.
constexpr float kNegligible = -40;
// Logits of float32 differences are exact to 6e-7 of them; beyond this, double is used.
constexpr float kLeastLogitInFloat = -12;
// Weights are scaled so that small ones are normal halves.
constexpr float kWeightScale = 15;

// Each product of 16 numbers rounds its sum a few times, by at most 2^-23 of the largest part; a
// logit needs 2 such products, of split patches 6. Of |q|^2 + |k|^2:
template <typename Sample>
struct Precision;
template <>
struct Precision<Half> {
  static constexpr bool kSplit = false;
  static constexpr float kDistanceError = 0x1p-18f;
  static constexpr float kLogitTolerance = 2e-3f;
};
template <>
struct Precision<float> {
  static constexpr bool kSplit = true;
  static constexpr float kDistanceError = 0x1p-17f;
  static constexpr float kLogitTolerance = 1e-5f;
};

JPEGRT_SHARED void StoreSample(float value, float* to) { *to = value; }
JPEGRT_SHARED void StoreSample(float value, Half* to) { *to = HalfFromFloat(value); }

JPEGRT_SHARED float PowerOfTwo(float exponent) {
#if defined(__CUDA_ARCH__)
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(exponent));
  return power;
#else
  return std::exp2(exponent);
#endif
}

constexpr float kNone = -INFINITY;  // a logit without a key

// Rows that are padded so that a warp's fragments come from 32 different banks.
struct NonLocalTile {
  float query[kQueries][kMaxFeatures + 2];  // as read; later the sums
  float key[kKeys][kMaxFeatures];
  float query_norm[kQueries], query_scale[kQueries];  // |q|^2 centred; 1 / h^2 in bits
  float key_norm[kKeys], key_bias[kKeys];
  float centre[3];
  alignas(4) Half key_halves[2][kKeys][kFeatures + 8];    // hi and lo
  alignas(4) Half value_halves[2][kFeatures][kKeys + 8];  // features before keys
};

// A thread's part of 16 queries: rows g and g + 8 of its warp's.
struct NonLocalRegisters {
  FragmentA query[2][2];  // hi and lo, features 0 to 15 and 16 to 31
  Accumulator logits[kKeyTiles];
  Accumulator sums[kValueTiles];
  float row_max[2];
  double base[2];    // what logits are relative to: the largest before these keys, or kNone
  bool is_empty[2];  // no key so far
};

// One image, and where in it the thread block is.
template <typename Sample>
struct NonLocalView {
  JPEGRT_SHARED NonLocalView(const NonLocalArguments& arguments, uint32_t block)
      : arguments(arguments) {
    const uint32_t tiles = arguments.tiles_across * arguments.tiles_down;
    image = block / tiles;
    const uint32_t tile = block % tiles;
    first_x = tile % arguments.tiles_across * kQueryTileWidth;
    first_y = tile / arguments.tiles_across * kQueryTileHeight;
    features = 9 * arguments.channels;
  }

  JPEGRT_SHARED bool Contains(uint32_t x, uint32_t y) const {
    return x < arguments.width && y < arguments.height;
  }

  JPEGRT_SHARED uint64_t PixelAt(uint32_t x, uint32_t y) const {
    return (static_cast<uint64_t>(image) * arguments.height + y) * arguments.width + x;
  }

  // Number `feature` of the patch at (x, y); the border is replicated.
  JPEGRT_SHARED float Feature(const void* samples, uint32_t x, uint32_t y, uint32_t feature) const {
    const uint32_t channel = feature / 9, dy = feature % 9 / 3, dx = feature % 3;
    const uint32_t sample_x = Clamped(x + dx, arguments.width);
    const uint32_t sample_y = Clamped(y + dy, arguments.height);
    const uint64_t plane = static_cast<uint64_t>(image) * arguments.channels + channel;
    return FloatFrom(static_cast<const Sample*>(
        samples)[(plane * arguments.height + sample_y) * arguments.width + sample_x]);
  }

  // The pixel `plus_one` - 1, or the nearest that there is.
  JPEGRT_SHARED static uint32_t Clamped(uint32_t plus_one, uint32_t size) {
    return plus_one == 0 ? 0 : plus_one > size ? size - 1 : plus_one - 1;
  }

  const NonLocalArguments& arguments;
  uint32_t image, first_x, first_y, features;
};

JPEGRT_SHARED Half LowHalf(float value, Half high) {
  return HalfFromFloat(value - FloatFromHalf(high));
}

// Queries, once.
template <typename Sample>
JPEGRT_SHARED void LoadQueries(const NonLocalView<Sample>& view, NonLocalTile& tile,
                               Registers<NonLocalRegisters>& registers, const Phases& phases) {
  constexpr bool split = Precision<Sample>::kSplit;
  phases.Block([&](uint32_t thread) {
    const uint32_t query = thread % kQueries;
    const uint32_t x = view.first_x + query % kQueryTileWidth;
    const uint32_t y = view.first_y + query / kQueryTileWidth;
    const bool inside = view.Contains(x, y);
    for (uint32_t f = thread / kQueries; f < view.features; f += kThreads / kQueries)
      tile.query[query][f] = inside ? view.Feature(view.arguments.guide, x, y, f) : 0;
    // What never changes: zeros beyond a patch's numbers.
    for (uint32_t i = thread; i < 2 * kKeys * kFeatures; i += kThreads) {
      const uint32_t part = i / (kKeys * kFeatures), key = i / kFeatures % kKeys;
      const uint32_t f = i % kFeatures;
      if (f >= view.features) {
        tile.key_halves[part][key][f] = {0};
        tile.value_halves[part][f][key] = HalfFromFloat(f == kOnes && part == 0 ? 1 : 0);
      }
    }
  });
  phases.Block([&](uint32_t thread) {
    if (thread >= 3) return;
    float sum = 0;
    if (split && thread < view.arguments.channels)
      for (uint32_t query = 0; query < kQueries; ++query) sum += tile.query[query][9 * thread + 4];
    tile.centre[thread] = sum / kQueries;
  });
  phases.Block([&](uint32_t thread) {
    if (thread >= kQueries) return;
    const uint32_t x = view.first_x + thread % kQueryTileWidth;
    const uint32_t y = view.first_y + thread / kQueryTileWidth;
    float norm = 0;
    for (uint32_t f = 0; f < view.features; ++f) {
      const float centred = tile.query[thread][f] - tile.centre[f / 9];
      norm += centred * centred;
    }
    tile.query_norm[thread] = norm;
    float h = view.arguments.constant_h;
    if (view.arguments.h && view.Contains(x, y)) h = view.arguments.h[view.PixelAt(x, y)];
    tile.query_scale[thread] = kLog2E / (h * h + kLeastSquaredH);
  });
  phases.Block([&](uint32_t thread) {
    NonLocalRegisters& own = registers.of(thread);
    const uint32_t lane = thread % kWarp, first = thread / kWarp * kQueryTileWidth;
    for (uint32_t step = 0; step < 2; ++step)
      for (uint32_t word = 0; word < 4; ++word) {
        const uint32_t query = first + lane / 4 + 8 * (word % 2);
        Half high[2], low[2];
        for (uint32_t i = 0; i < 2; ++i) {
          const uint32_t f = 16 * step + 2 * (lane % 4) + 8 * (word / 2) + i;
          const float centred = f < view.features ? tile.query[query][f] - tile.centre[f / 9] : 0;
          high[i] = HalfFromFloat(centred);
          low[i] = LowHalf(centred, high[i]);
        }
        own.query[0][step].words[word] = PairOfHalves(high[0], high[1]);
        if (split) own.query[1][step].words[word] = PairOfHalves(low[0], low[1]);
      }
    for (uint32_t i = 0; i < kValueTiles; ++i) own.sums[i] = {};
    own.base[0] = own.base[1] = kNone;
    own.is_empty[0] = own.is_empty[1] = true;
  });
}

// The 64 keys from (first_x, first_y) on.
template <typename Sample>
JPEGRT_SHARED void LoadKeys(const NonLocalView<Sample>& view, NonLocalTile& tile, uint32_t first_x,
                            uint32_t first_y, const Phases& phases) {
  constexpr bool split = Precision<Sample>::kSplit;
  phases.Block([&](uint32_t thread) {
    const uint32_t key = thread % kKeys;
    const uint32_t x = first_x + key % kKeyTileSide, y = first_y + key / kKeyTileSide;
    const bool inside = view.Contains(x, y);
    for (uint32_t f = thread / kKeys; f < view.features; f += kThreads / kKeys) {
      const float guide = inside ? view.Feature(view.arguments.guide, x, y, f) : 0;
      const float value = inside ? view.Feature(view.arguments.value, x, y, f) : 0;
      const float centred = guide - tile.centre[f / 9];
      const Half guide_high = HalfFromFloat(centred), value_high = HalfFromFloat(value);
      tile.key[key][f] = guide;
      tile.key_halves[0][key][f] = guide_high;
      tile.value_halves[0][f][key] = value_high;
      if (split) {
        tile.key_halves[1][key][f] = LowHalf(centred, guide_high);
        tile.value_halves[1][f][key] = LowHalf(value, value_high);
      }
    }
  });
  phases.Block([&](uint32_t thread) {
    if (thread >= kKeys) return;
    const uint32_t x = first_x + thread % kKeyTileSide, y = first_y + thread / kKeyTileSide;
    float norm = 0;
    for (uint32_t f = 0; f < view.features; ++f) {
      const float centred = tile.key[thread][f] - tile.centre[f / 9];
      norm += centred * centred;
    }
    tile.key_norm[thread] = norm;
    const bool is_key = view.Contains(x, y) &&
                        (!view.arguments.keys || view.arguments.keys[view.PixelAt(x, y)] != 0);
    tile.key_bias[thread] = is_key ? 0 : kNone;
  });
}

// The pair of query and key, in the tile, that value i of accumulator `column_tile` is about.
struct NonLocalPair {
  JPEGRT_SHARED NonLocalPair(uint32_t thread, uint32_t column_tile, uint32_t i)
      : query(thread / kWarp * kQueryTileWidth + AccumulatorRow(thread % kWarp, i)),
        key(8 * column_tile + AccumulatorColumn(thread % kWarp, i)) {}
  uint32_t query, key;
};

// By how much the logit of a pair may be wrong, in bits, if tensor cores compute it.
template <typename Sample>
JPEGRT_SHARED float LogitError(const NonLocalTile& tile, const NonLocalPair& pair) {
  return Precision<Sample>::kDistanceError *
         (tile.query_norm[pair.query] + tile.key_norm[pair.key]) * tile.query_scale[pair.query];
}

// The logit of a pair from the differences of its patches, less `base`.
JPEGRT_SHARED float ExactLogit(const NonLocalTile& tile, const NonLocalPair& pair,
                               uint32_t features, double base) {
  float distance = 0;
  for (uint32_t f = 0; f < features; ++f) {
    const float difference = tile.query[pair.query][f] - tile.key[pair.key][f];
    distance += difference * difference;
  }
  const float logit = -distance * tile.query_scale[pair.query];
  if (logit > kLeastLogitInFloat) return logit - static_cast<float>(base);
  double exact = 0;
  for (uint32_t f = 0; f < features; ++f) {
    const double difference =
        static_cast<double>(tile.query[pair.query][f]) - tile.key[pair.key][f];
    exact += difference * difference;
  }
  return static_cast<float>(-exact * tile.query_scale[pair.query] - base);
}

template <typename Sample>
JPEGRT_SHARED bool IsInWindow(const NonLocalView<Sample>& view, const NonLocalPair& pair,
                              uint32_t key_x, uint32_t key_y) {
  const uint32_t window = view.arguments.window_px;
  if (window == 0) return true;
  const auto within = [window](uint32_t a, uint32_t b) {
    return (a < b ? b - a : a - b) <= window;
  };
  return within(view.first_x + pair.query % kQueryTileWidth, key_x + pair.key % kKeyTileSide) &&
         within(view.first_y + pair.query / kQueryTileWidth, key_y + pair.key / kKeyTileSide);
}

JPEGRT_SHARED void ScaleSums(NonLocalRegisters& own, uint32_t row, float factor) {
  JPEGRT_UNROLL
  for (uint32_t tile_of_values = 0; tile_of_values < kValueTiles; ++tile_of_values) {
    JPEGRT_UNROLL
    for (uint32_t i = 2 * row; i < 2 * row + 2; ++i) own.sums[tile_of_values].values[i] *= factor;
  }
}

// Adds the keys of the tile, which lie from (key_x, key_y) on, to the sums.
template <typename Sample>
JPEGRT_SHARED void Attend(const NonLocalView<Sample>& view, const NonLocalTile& tile,
                          uint32_t key_x, uint32_t key_y, Registers<NonLocalRegisters>& registers,
                          const Phases& phases) {
  constexpr bool split = Precision<Sample>::kSplit;
  constexpr uint32_t key_stride = kFeatures + 8, value_stride = kKeys + 8;

  // Logits by tensor cores, and for each row the largest that is certain.
  phases.Warp([&](uint32_t thread) {
    NonLocalRegisters& own = registers.of(thread);
    own.row_max[0] = own.row_max[1] = kNone;
    JPEGRT_UNROLL
    for (uint32_t column_tile = 0; column_tile < kKeyTiles; ++column_tile) {
      Accumulator product = {};
      JPEGRT_UNROLL
      for (uint32_t step = 0; step < 2; ++step) {
        const auto high = [&](uint32_t t) { return registers.of(t).query[0][step]; };
        const Half* const keys = &tile.key_halves[0][8 * column_tile][16 * step];
        if constexpr (split) {
          const auto low = [&](uint32_t t) { return registers.of(t).query[1][step]; };
          const Half* const low_keys = &tile.key_halves[1][8 * column_tile][16 * step];
          MultiplyAdd(thread, low, keys, key_stride, product);
          MultiplyAdd(thread, high, low_keys, key_stride, product);
        }
        MultiplyAdd(thread, high, keys, key_stride, product);
      }
      JPEGRT_UNROLL
      for (uint32_t i = 0; i < 4; ++i) {
        const NonLocalPair pair(thread, column_tile, i);
        const float distance =
            tile.query_norm[pair.query] + tile.key_norm[pair.key] - 2 * product.values[i];
        float logit = tile.key_bias[pair.key];
        if (logit == 0 && IsInWindow(view, pair, key_x, key_y))
          logit = distance > 0 ? -distance * tile.query_scale[pair.query] : 0;
        else
          logit = kNone;
        own.logits[column_tile].values[i] = logit;
        const float certain = logit - LogitError<Sample>(tile, pair);
        if (certain > own.row_max[i / 2]) own.row_max[i / 2] = certain;
      }
    }
  });

  // Relative to the base; exact where that matters, and none where the weight is negligible.
  phases.Warp([&](uint32_t thread) {
    NonLocalRegisters& own = registers.of(thread);
    float threshold[2];
    JPEGRT_UNROLL
    for (uint32_t row = 0; row < 2; ++row) {
      const float certain =
          MaxOfQuad(thread, [&](uint32_t t) { return registers.of(t).row_max[row]; });
      // Near the largest logit at once, so that those that matter are small numbers.
      if (certain > own.base[row]) {
        ScaleSums(own, row, PowerOfTwo(static_cast<float>(own.base[row] - certain)));
        own.base[row] = certain;
      }
      threshold[row] = static_cast<float>(own.base[row]) + kNegligible;
    }
    uint32_t inexact = 0;  // a bit for each value
    JPEGRT_UNROLL
    for (uint32_t value = 0; value < 4 * kKeyTiles; ++value) {
      const NonLocalPair pair(thread, value / 4, value % 4);
      float& logit = own.logits[value / 4].values[value % 4];
      const float error = LogitError<Sample>(tile, pair);
      if (!(logit + error > threshold[value % 4 / 2]))
        logit = kNone;
      else if (error > Precision<Sample>::kLogitTolerance)
        inexact |= 1u << value;
      else  // it is small, or its error would not be
        logit -= static_cast<float>(own.base[value % 4 / 2]);
    }
    for (; inexact; inexact &= inexact - 1) {  // lanes go on to their next one together
      const uint32_t value = LowestBit(inexact);
      const NonLocalPair pair(thread, value / 4, value % 4);
      const double base = value % 4 / 2 ? own.base[1] : own.base[0];
      const float exact = ExactLogit(tile, pair, view.features, base);
      JPEGRT_UNROLL
      for (uint32_t other = 0; other < 4 * kKeyTiles; ++other)
        if (other == value) own.logits[other / 4].values[other % 4] = exact;
    }
  });
  phases.Warp([&](uint32_t thread) {
    NonLocalRegisters& own = registers.of(thread);
    JPEGRT_UNROLL
    for (uint32_t row = 0; row < 2; ++row) {
      own.row_max[row] = kNone;
      JPEGRT_UNROLL
      for (uint32_t column_tile = 0; column_tile < kKeyTiles; ++column_tile) {
        JPEGRT_UNROLL
        for (uint32_t i = 2 * row; i < 2 * row + 2; ++i)
          if (own.logits[column_tile].values[i] > own.row_max[row])
            own.row_max[row] = own.logits[column_tile].values[i];
      }
    }
  });

  // The base becomes the largest logit so far, logits become weights.
  phases.Warp([&](uint32_t thread) {
    NonLocalRegisters& own = registers.of(thread);
    JPEGRT_UNROLL
    for (uint32_t row = 0; row < 2; ++row) {
      float rise = MaxOfQuad(thread, [&](uint32_t t) { return registers.of(t).row_max[row]; });
      if (rise > 0 || (own.is_empty[row] && rise > kNone)) {
        own.base[row] += rise;
        own.is_empty[row] = false;
        ScaleSums(own, row, PowerOfTwo(-rise));
      } else {
        rise = 0;
      }
      JPEGRT_UNROLL
      for (uint32_t column_tile = 0; column_tile < kKeyTiles; ++column_tile) {
        JPEGRT_UNROLL
        for (uint32_t i = 2 * row; i < 2 * row + 2; ++i) {
          float& logit = own.logits[column_tile].values[i];
          logit = PowerOfTwo(logit - rise + kWeightScale);
        }
      }
    }
  });

  phases.Block([&](uint32_t thread) {
    const auto has_keys = [&](uint32_t t) {
      return registers.of(t).row_max[0] > kNone || registers.of(t).row_max[1] > kNone;
    };
    if (!AnyOfWarp(thread, has_keys)) return;
    NonLocalRegisters& own = registers.of(thread);
    JPEGRT_UNROLL
    for (uint32_t step = 0; step < kKeys / 16; ++step) {
      const auto high = [&](uint32_t t) {
        const NonLocalRegisters& lane = registers.of(t);
        return FragmentOf(lane.logits[2 * step], lane.logits[2 * step + 1], HalfFromFloat);
      };
      const auto low = [&](uint32_t t) {
        const NonLocalRegisters& lane = registers.of(t);
        return FragmentOf(lane.logits[2 * step], lane.logits[2 * step + 1],
                          [](float weight) { return LowHalf(weight, HalfFromFloat(weight)); });
      };
      JPEGRT_UNROLL
      for (uint32_t tile_of_values = 0; tile_of_values < kValueTiles; ++tile_of_values) {
        Accumulator& sum = own.sums[tile_of_values];
        const Half* const values = &tile.value_halves[0][8 * tile_of_values][16 * step];
        if constexpr (split) {
          const Half* const low_values = &tile.value_halves[1][8 * tile_of_values][16 * step];
          MultiplyAdd(thread, low, values, value_stride, sum);
          MultiplyAdd(thread, high, low_values, value_stride, sum);
        }
        MultiplyAdd(thread, high, values, value_stride, sum);
      }
    }
  });
}

// Divides by S and writes the filtered patches; where there was no key, the value's own.
template <typename Sample>
JPEGRT_SHARED void StorePatches(const NonLocalView<Sample>& view, NonLocalTile& tile,
                                Registers<NonLocalRegisters>& registers, const Phases& phases) {
  phases.Block([&](uint32_t thread) {
    const NonLocalRegisters& own = registers.of(thread);
    JPEGRT_UNROLL
    for (uint32_t tile_of_values = 0; tile_of_values < kValueTiles; ++tile_of_values) {
      JPEGRT_UNROLL
      for (uint32_t i = 0; i < 4; ++i) {
        const NonLocalPair pair(thread, tile_of_values, i);  // its key is a feature here
        const float sum = own.sums[tile_of_values].values[i];
        if (pair.key < kMaxFeatures)
          tile.query[pair.query][pair.key] = sum;
        else if (pair.key == kOnes)
          tile.query_norm[pair.query] = sum;
      }
    }
  });
  phases.Block([&](uint32_t thread) {
    const uint32_t query = thread % kQueries;
    const uint32_t x = view.first_x + query % kQueryTileWidth;
    const uint32_t y = view.first_y + query / kQueryTileWidth;
    if (!view.Contains(x, y)) return;
    const uint64_t plane = static_cast<uint64_t>(view.arguments.height) * view.arguments.width;
    float* const out = view.arguments.patches + view.image * view.features * plane +
                       static_cast<uint64_t>(y) * view.arguments.width + x;
    for (uint32_t f = thread / kQueries; f < view.features; f += kThreads / kQueries)
      out[f * plane] = tile.query_norm[query] > 0 ? tile.query[query][f] / tile.query_norm[query]
                                                  : view.Feature(view.arguments.value, x, y, f);
  });
}

// Block `block` of a launch: the filtered patches of 16 x 8 queries.
template <typename Sample>
JPEGRT_SHARED void FilterPatches(const NonLocalArguments& arguments, uint32_t block,
                                 NonLocalTile& tile, Registers<NonLocalRegisters>& registers,
                                 const Phases& phases) {
  const NonLocalView<Sample> view(arguments, block);
  LoadQueries(view, tile, registers, phases);
  const uint32_t window = arguments.window_px;
  const auto first_key = [window](uint32_t first) {
    return window && first > window ? (first - window) / kKeyTileSide * kKeyTileSide : 0;
  };
  const auto end_of_keys = [window](uint32_t first, uint32_t queries, uint32_t size) {
    const uint64_t end = static_cast<uint64_t>(first) + queries + window;
    return window && end < size ? static_cast<uint32_t>(end) : size;
  };
  const uint32_t end_x = end_of_keys(view.first_x, kQueryTileWidth, arguments.width);
  const uint32_t end_y = end_of_keys(view.first_y, kQueryTileHeight, arguments.height);
  for (uint32_t key_y = first_key(view.first_y); key_y < end_y; key_y += kKeyTileSide)
    for (uint32_t key_x = first_key(view.first_x); key_x < end_x; key_x += kKeyTileSide) {
      LoadKeys(view, tile, key_x, key_y, phases);
      Attend(view, tile, key_x, key_y, registers, phases);
    }
  StorePatches(view, tile, registers, phases);
}

// Block `block` of a launch with 256 pixels of one image each: means of the patches over them.
template <typename Sample>
JPEGRT_SHARED void FoldPatches(const NonLocalArguments& arguments, uint32_t block,
                               const Phases& phases) {
  const uint32_t width = arguments.width, height = arguments.height;
  const uint64_t plane = static_cast<uint64_t>(height) * width;
  const auto blocks = static_cast<uint32_t>((plane + kThreads - 1) / kThreads);
  phases.Block([&](uint32_t thread) {
    const uint64_t pixel = static_cast<uint64_t>(block % blocks) * kThreads + thread;
    if (pixel >= plane) return;
    const auto x = static_cast<uint32_t>(pixel % width), y = static_cast<uint32_t>(pixel / width);
    for (uint32_t c = 0; c < arguments.channels; ++c) {
      const uint64_t channel = static_cast<uint64_t>(block / blocks) * arguments.channels + c;
      const float* const patches = arguments.patches + channel * 9 * plane;
      float sum = 0;
      uint32_t count = 0;
      for (uint32_t dy = 0; dy < 3; ++dy)
        for (uint32_t dx = 0; dx < 3; ++dx) {
          // The patch whose number (dy, dx) is this pixel; unsigned, -1 is beyond every size.
          const uint32_t patch_x = x + 1 - dx, patch_y = y + 1 - dy;
          if (patch_x >= width || patch_y >= height) continue;
          sum += patches[(3 * dy + dx) * plane + static_cast<uint64_t>(patch_y) * width + patch_x];
          ++count;
        }
      StoreSample(sum / static_cast<float>(count),
                  static_cast<Sample*>(arguments.filtered) + channel * plane + pixel);
    }
  });
}

}  // namespace jpegrt::cuda
