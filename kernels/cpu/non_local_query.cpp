#include "non_local_query.h"

#include <cfloat>

#include "vectors.h"

namespace jpegrt {
namespace {

// Distances in float are exact to this part of them.
constexpr float kDistanceError = 4e-6f;

// Keys count if their weight may be above 2^-64 of the largest.
constexpr float kNegligibleBits = 64;

// The same for all instruction sets, so that they add up in the same order.
constexpr int kKeysAtOnce = 16, kExactKeysAtOnce = 8;

// Weights of so many keys are computed before values are added, in float, and the sums in double.
constexpr int kKeysInBlock = 256;

// A patch's positions relative to its centre.
struct Offsets {
  explicit Offsets(ptrdiff_t pitch) {
    for (int i = 0; i < 9; ++i) at[i] = (i / 3 - 1) * pitch + i % 3 - 1;
  }
  ptrdiff_t at[9];
};

// |g(m) - g(n)|^2 in Real for kLanes keys from n on; `query` is g(m).
template <typename Real, int kLanes, int kChannels>
JPEGRT_INLINE Vector<Real, kLanes> Distances(const NonLocalPlanes& planes, const Offsets& offsets,
                                             const float query[kMaxPatch], ptrdiff_t n) {
  Vector<Real, kLanes> sum = {};
  for (int c = 0; c < kChannels; ++c)
    for (int i = 0; i < 9; ++i) {
      const auto key = Load<kLanes>(planes.guide[c] + n + offsets.at[i]);
      const auto difference =
          static_cast<Real>(query[9 * c + i]) - __builtin_convertvector(key, Vector<Real, kLanes>);
      sum += difference * difference;
    }
  return sum;
}

template <int kLanes>
JPEGRT_INLINE bool AnyIsSet(Vector<int32_t, kLanes> lanes) {
  int64_t words[kLanes / 2], any = 0;
  std::memcpy(words, &lanes, sizeof words);
  for (int64_t word : words) any |= word;
  return any != 0;
}

// A query, and what its logits are relative to.
struct Query {
  float guide[kMaxPatch];
  double scale, base;
  float limit;  // keys further than this have no weight
};

// The weights of the keys from n on, of which those from `end` on have none; false if all are 0.
template <int kChannels>
JPEGRT_INLINE bool FindWeights(const NonLocalPlanes& planes, const Offsets& offsets,
                               const Query& query, ptrdiff_t n, ptrdiff_t end, float* weights) {
  const auto distances = Distances<float, kKeysAtOnce, kChannels>(planes, offsets, query.guide, n) -
                         Load<kKeysAtOnce>(planes.key_bias + n);
  if (!AnyIsSet<kKeysAtOnce>(distances <= query.limit)) {
    Store(weights, Vector<float, kKeysAtOnce>{});
    return false;
  }
  for (int first = 0; first < kKeysAtOnce; first += kExactKeysAtOnce) {
    const auto exact =
        Distances<double, kExactKeysAtOnce, kChannels>(planes, offsets, query.guide, n + first);
    const auto logits =
        __builtin_convertvector(exact * query.scale - query.base, Vector<float, kExactKeysAtOnce>);
    Store(weights + first,
          Exp2<kExactKeysAtOnce>(logits + Load<kExactKeysAtOnce>(planes.key_bias + n + first)));
  }
  for (ptrdiff_t beyond = end; beyond < n + kKeysAtOnce; ++beyond) weights[beyond - n] = 0;
  return true;
}

template <int kChannels>
JPEGRT_INLINE void FilterPatchOf(const NonLocalPlanes& planes, const std::vector<ShiftRun>& rows,
                                 ptrdiff_t m, float patch[kMaxPatch]) {
  using Float = Vector<float, kKeysAtOnce>;
  using Double = Vector<double, kKeysAtOnce>;
  const Offsets offsets(planes.pitch);
  Query query;
  for (int c = 0; c < kChannels; ++c)
    for (int i = 0; i < 9; ++i) {
      query.guide[9 * c + i] = planes.guide[c][m + offsets.at[i]];
      patch[9 * c + i] = planes.value[c][m + offsets.at[i]];
    }
  if (planes.max_logit[m] == -FLT_MAX) return;

  // The largest logit is known but for its rounding, which is all that weights are scaled by.
  query.scale = planes.logit_scale[m], query.base = planes.max_logit[m];
  query.limit = static_cast<float>(query.base / query.scale) * (1 + 2 * kDistanceError) -
                kNegligibleBits / planes.logit_scale[m];
  Double total = {}, sums[9 * kChannels] = {};
  float weights[kKeysInBlock];
  for (const ShiftRun& row : rows)
    for (ptrdiff_t block = row.first; block < row.last; block += kKeysInBlock) {
      const ptrdiff_t end = block + kKeysInBlock < row.last ? block + kKeysInBlock : row.last;
      bool has_weights = false;
      for (ptrdiff_t n = block; n < end; n += kKeysAtOnce)
        has_weights |=
            FindWeights<kChannels>(planes, offsets, query, n, row.last, weights + (n - block));
      if (!has_weights) continue;
      Float block_total = {};
      for (ptrdiff_t n = block; n < end; n += kKeysAtOnce)
        block_total += Load<kKeysAtOnce>(weights + (n - block));
      total += __builtin_convertvector(block_total, Double);
      for (int c = 0; c < kChannels; ++c) {
        Float block_sums[9] = {};
        for (ptrdiff_t n = block; n < end; n += kKeysAtOnce) {
          const auto weight = Load<kKeysAtOnce>(weights + (n - block));
          for (int i = 0; i < 9; ++i)
            block_sums[i] += weight * Load<kKeysAtOnce>(planes.value[c] + n + offsets.at[i]);
        }
        for (int i = 0; i < 9; ++i)
          sums[9 * c + i] += __builtin_convertvector(block_sums[i], Double);
      }
    }
  const auto across = [](const Double& lanes) {
    double sum = 0;
    for (int lane = 0; lane < kKeysAtOnce; ++lane) sum += lanes[lane];
    return sum;
  };
  for (int f = 0; f < 9 * kChannels; ++f)
    patch[f] = static_cast<float>(across(sums[f]) / across(total));
}

#define JPEGRT_VARIANT(name, lanes, target)                                                      \
  template <int kChannels>                                                                       \
  target void FilterPatch##name(const NonLocalPlanes& planes, const std::vector<ShiftRun>& rows, \
                                ptrdiff_t m, float patch[kMaxPatch]) {                           \
    FilterPatchOf<kChannels>(planes, rows, m, patch);                                            \
  }
JPEGRT_FOR_VARIANTS(JPEGRT_VARIANT)
#undef JPEGRT_VARIANT

using PatchFunction = void (*)(const NonLocalPlanes&, const std::vector<ShiftRun>&, ptrdiff_t,
                               float*);

}  // namespace

void FilterPatch(const NonLocalPlanes& planes, const std::vector<ShiftRun>& rows, ptrdiff_t m,
                 float patch[kMaxPatch]) {
  static const PatchFunction of_one = JPEGRT_BEST_VARIANT(FilterPatch, <1>);
  static const PatchFunction of_three = JPEGRT_BEST_VARIANT(FilterPatch, <3>);
  (planes.channels == 1 ? of_one : of_three)(planes, rows, m, patch);
}

}  // namespace jpegrt
