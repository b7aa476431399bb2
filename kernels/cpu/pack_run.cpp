#include "pack_run.h"

#include <array>
#include <cstring>

#include "packed_format.h"
#include "simd.h"

#if defined(__GNUC__) && defined(__x86_64__)
#define JPEGRT_PACK_X86
#include <immintrin.h>
#endif

namespace jpegrt {
namespace {

// Values and escapes are collected here, because their place depends on how many masks there are.
// Vectors are stored whole, hence the room behind. How many values there are is kept in a register.
struct Collected {
  uint8_t values[kRunBlocks * 64 + 64];
  int16_t escapes[kRunBlocks * 64];
  size_t n_escapes = 0;
};

constexpr int kEscapeLimit = 127;

bool NeedsEscape(int value) { return value < -kEscapeLimit || value > kEscapeLimit; }

int16_t DcDifference(int16_t dc, int16_t previous) {
  return static_cast<int16_t>(static_cast<uint16_t>(dc) - static_cast<uint16_t>(previous));
}

// Groups and masks are in place; appends the rest, or stores the run dense if that is no longer.
size_t FinishRun(const int16_t* blocks, size_t count, uint8_t* run, const uint8_t* masks_end,
                 const Collected& collected, size_t n_values) {
  const auto values_at = static_cast<size_t>(masks_end - run);
  const size_t escapes_at = values_at + n_values;
  const size_t end = escapes_at + collected.n_escapes * sizeof(int16_t);
  const size_t size = (end + 3) & ~size_t{3};
  if (size >= DenseSize(count)) {
    std::memcpy(run, blocks, DenseSize(count));
    return DenseSize(count);
  }
  std::memcpy(run + values_at, collected.values, n_values);
  if (collected.n_escapes) std::memcpy(run + escapes_at, collected.escapes, end - escapes_at);
  std::memset(run + end, 0, size - end);
  return size;
}

// [v][mask of row v's non-zero values, bit u] -> the same in a block's 64 zigzag positions.
using ZigzagOfRow = std::array<std::array<uint64_t, 256>, 8>;

constexpr ZigzagOfRow MakeZigzagOfRow() {
  ZigzagOfRow table = {};
  for (unsigned position = 0; position < 64; ++position) {
    const unsigned v = kZigzag[position] / 8, u = kZigzag[position] % 8;
    for (unsigned mask = 0; mask < 256; ++mask)
      if (mask >> u & 1) table[v][mask] |= uint64_t{1} << position;
  }
  return table;
}

constexpr ZigzagOfRow kZigzagOfRow = MakeZigzagOfRow();

typedef int8_t Byte8 __attribute__((vector_size(8)));

// Bit u: values[u] is not zero.
JPEGRT_INLINE unsigned NonZero(Short8 values) {
  const Byte8 bytes = __builtin_convertvector(values != 0, Byte8);
  uint64_t lanes;
  std::memcpy(&lanes, &bytes, sizeof lanes);
  // Bit u of lane u, then all lanes added up in the top byte.
  return static_cast<unsigned>((lanes & 0x8040201008040201) * 0x0101010101010101 >> 56);
}

size_t PackRunAnywhere(const int16_t* blocks, size_t count, uint8_t* run) {
  Collected collected;
  size_t n_values = 0;
  uint8_t* masks = run + count;
  int16_t previous_dc = 0;
  for (size_t i = 0; i < count; ++i) {
    const int16_t* block = blocks + 64 * i;
    const auto* rows = reinterpret_cast<const Short8*>(block);
    uint64_t present = 0;
    for (int v = 0; v < 8; ++v) present |= kZigzagOfRow[v][NonZero(rows[v])];
    const int16_t difference = DcDifference(block[0], previous_dc);
    previous_dc = block[0];
    present = (present & ~uint64_t{1}) | (difference != 0);

    uint8_t groups = 0;
    for (int g = 0; g < 8; ++g) {
      const auto mask = static_cast<uint8_t>(present >> 8 * g);
      if (!mask) continue;
      groups |= static_cast<uint8_t>(1u << g);
      *masks++ = mask;
    }
    run[i] = groups;
    for (uint64_t left = present; left; left &= left - 1) {
      const int position = __builtin_ctzll(left);
      const int16_t value = position == 0 ? difference : block[kZigzag[position]];
      const bool escape = NeedsEscape(value);
      collected.values[n_values++] = escape ? kEscape : static_cast<uint8_t>(value);
      if (escape) collected.escapes[collected.n_escapes++] = value;
    }
  }
  return FinishRun(blocks, count, run, masks, collected, n_values);
}

#ifdef JPEGRT_PACK_X86
#if !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of GCC 12's own intrinsics
#endif

// Both packers below saturate a block to 64 bytes, with the DC's difference in the DC's place, put
// them in zigzag order and keep those that are not zero. A byte of 127 may have been more, one of
// -128 less: such blocks are rare, and are looked at again.

// Of the zigzag positions `candidates`, those whose values need an escape; collects these.
uint64_t CollectEscapes(uint64_t candidates, const int16_t* block, int16_t difference,
                        Collected* collected) {
  uint64_t escaped = 0;
  for (uint64_t left = candidates; left; left &= left - 1) {
    const int position = __builtin_ctzll(left);
    const int16_t value = position == 0 ? difference : block[kZigzag[position]];
    if (!NeedsEscape(value)) continue;
    escaped |= uint64_t{1} << position;
    collected->escapes[collected->n_escapes++] = value;
  }
  return escaped;
}

__attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,popcnt"))) size_t
PackRunAvx512(const int16_t* blocks, size_t count, uint8_t* run) {
  Collected collected;
  size_t n_values = 0;
  // Each block's masks, in all eight groups; and no masks beyond the last block.
  alignas(64) uint64_t present[kRunBlocks];
  for (size_t i = count; i < kRunBlocks; ++i) present[i] = 0;
  int16_t previous_dc = 0;
  const __m512i zigzag = _mm512_loadu_si512(kZigzag);
  for (size_t i = 0; i < count; ++i) {
    const int16_t* block = blocks + 64 * i;
    const int16_t difference = DcDifference(block[0], previous_dc);
    previous_dc = block[0];
    const __m512i upper = _mm512_mask_set1_epi16(_mm512_loadu_si512(block), 1, difference);
    const __m512i lower = _mm512_loadu_si512(block + 32);
    const __m512i saturated = _mm512_inserti64x4(
        _mm512_castsi256_si512(_mm512_cvtsepi16_epi8(upper)), _mm512_cvtsepi16_epi8(lower), 1);
    __m512i values = _mm512_permutexvar_epi8(zigzag, saturated);
    present[i] = _mm512_test_epi8_mask(values, values);
    const uint64_t large =
        _mm512_cmpgt_epu8_mask(_mm512_abs_epi8(values), _mm512_set1_epi8(kEscapeLimit - 1));
    if (__builtin_expect(large != 0, 0)) {
      const uint64_t escaped = CollectEscapes(large, block, difference, &collected);
      values = _mm512_mask_set1_epi8(values, escaped, static_cast<char>(kEscape));
    }
    _mm512_storeu_si512(collected.values + n_values,
                        _mm512_maskz_compress_epi8(present[i], values));
    n_values += static_cast<size_t>(__builtin_popcountll(present[i]));
  }

  // Eight blocks at a time: their 64 masks are a vector, and those that are not empty eight groups.
  uint64_t groups[kRunBlocks / 8];
  for (size_t i = 0; i < kRunBlocks / 8; ++i) {
    const __m512i all_masks = _mm512_load_si512(present + 8 * i);
    groups[i] = _mm512_test_epi8_mask(all_masks, all_masks);
  }
  std::memcpy(run, groups, count);
  uint8_t* masks = run + count;
  for (size_t i = 0; 8 * i < count; ++i) {
    const __m512i all_masks = _mm512_load_si512(present + 8 * i);
    _mm512_storeu_si512(masks, _mm512_maskz_compress_epi8(groups[i], all_masks));
    masks += __builtin_popcountll(groups[i]);
  }
  return FinishRun(blocks, count, run, masks, collected, n_values);
}

struct alignas(32) Shuffle {
  uint8_t from[32];
};

// [half][source]: what the 32 zigzag positions of a half take from each of four vectors of 16
// bytes, those that AVX2's saturation leaves: rows 0 and 2, 1 and 3, 4 and 6, 5 and 7.
using ZigzagShuffles = std::array<std::array<Shuffle, 4>, 2>;

constexpr ZigzagShuffles MakeZigzagShuffles() {
  ZigzagShuffles shuffles = {};
  for (unsigned position = 0; position < 64; ++position) {
    const unsigned v = kZigzag[position] / 8, u = kZigzag[position] % 8;
    for (unsigned source = 0; source < 4; ++source) {
      const bool is_there = source == v / 4 * 2 + v % 2;
      shuffles[position / 32][source].from[position % 32] =
          static_cast<uint8_t>(is_there ? v % 4 / 2 * 8 + u : 0x80);  // 0x80 gives zero
    }
  }
  return shuffles;
}

constexpr ZigzagShuffles kZigzagShuffles = MakeZigzagShuffles();

// [mask]: the positions of its bits, lowest first.
using BitPositions = std::array<std::array<uint8_t, 8>, 256>;

constexpr BitPositions MakeBitPositions() {
  BitPositions positions = {};
  for (unsigned mask = 0; mask < 256; ++mask) {
    unsigned n = 0;
    for (unsigned bit = 0; bit < 8; ++bit)
      if (mask >> bit & 1) positions[mask][n++] = static_cast<uint8_t>(bit);
  }
  return positions;
}

constexpr BitPositions kBitPositions = MakeBitPositions();

// Stores the bytes of `bytes` that `mask` names, one after another, and anything behind them.
__attribute__((target("avx2"))) JPEGRT_INLINE void StoreNamed(__m128i bytes, unsigned mask,
                                                              uint8_t* to) {
  const auto* positions = reinterpret_cast<const __m128i*>(kBitPositions[mask].data());
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to),
                   _mm_shuffle_epi8(bytes, _mm_loadl_epi64(positions)));
}

__attribute__((target("avx2"))) JPEGRT_INLINE __m256i InZigzag(const __m256i sources[4], int half) {
  __m256i result = _mm256_setzero_si256();
  for (int i = 0; i < 4; ++i) {
    const auto* from = reinterpret_cast<const __m256i*>(kZigzagShuffles[half][i].from);
    result = _mm256_or_si256(result, _mm256_shuffle_epi8(sources[i], _mm256_load_si256(from)));
  }
  return result;
}

__attribute__((target("avx2"))) JPEGRT_INLINE uint32_t NonZeroBytes(__m256i bytes) {
  return ~static_cast<uint32_t>(
      _mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_setzero_si256())));
}

__attribute__((target("avx2,popcnt"))) size_t PackRunAvx2(const int16_t* blocks, size_t count,
                                                          uint8_t* run) {
  Collected collected;
  size_t n_values = 0;
  uint8_t* masks = run + count;
  int16_t previous_dc = 0;
  for (size_t i = 0; i < count; ++i) {
    const int16_t* block = blocks + 64 * i;
    const int16_t difference = DcDifference(block[0], previous_dc);
    previous_dc = block[0];
    const auto* rows = reinterpret_cast<const __m256i*>(block);
    const __m256i upper = _mm256_packs_epi16(
        _mm256_insert_epi16(_mm256_loadu_si256(rows), difference, 0), _mm256_loadu_si256(rows + 1));
    const __m256i lower =
        _mm256_packs_epi16(_mm256_loadu_si256(rows + 2), _mm256_loadu_si256(rows + 3));
    const __m256i sources[4] = {_mm256_permute2x128_si256(upper, upper, 0x00),
                                _mm256_permute2x128_si256(upper, upper, 0x11),
                                _mm256_permute2x128_si256(lower, lower, 0x00),
                                _mm256_permute2x128_si256(lower, lower, 0x11)};
    const __m256i first = InZigzag(sources, 0), second = InZigzag(sources, 1);
    const uint64_t present = uint64_t{NonZeroBytes(second)} << 32 | NonZeroBytes(first);
    alignas(32) uint8_t values[64];
    _mm256_store_si256(reinterpret_cast<__m256i*>(values), first);
    _mm256_store_si256(reinterpret_cast<__m256i*>(values + 32), second);

    const __m256i largest = _mm256_max_epu8(_mm256_abs_epi8(upper), _mm256_abs_epi8(lower));
    const __m256i limit = _mm256_set1_epi8(kEscapeLimit);
    const __m256i large = _mm256_cmpeq_epi8(_mm256_max_epu8(largest, limit), largest);
    if (__builtin_expect(_mm256_movemask_epi8(large) != 0, 0)) {
      uint64_t escaped = CollectEscapes(present, block, difference, &collected);
      for (; escaped; escaped &= escaped - 1) values[__builtin_ctzll(escaped)] = kEscape;
    }
    const __m128i all_masks = _mm_cvtsi64_si128(static_cast<long long>(present));
    const auto empty =
        static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(all_masks, _mm_setzero_si128())));
    const unsigned groups = ~empty & 0xFF;
    StoreNamed(all_masks, groups, masks);
    masks += __builtin_popcount(groups);
    run[i] = static_cast<uint8_t>(groups);
    // Half a block at a time: a branch for each group would be mispredicted in most blocks.
    for (int half = 0; half < 2; ++half) {
      const auto present_here = static_cast<uint32_t>(present >> 32 * half);
      if (!present_here) continue;
      for (int g = 0; g < 4; ++g) {
        const unsigned mask = present_here >> 8 * g & 0xFF;
        const auto* of_group = reinterpret_cast<const __m128i*>(values + 32 * half + 8 * g);
        StoreNamed(_mm_loadl_epi64(of_group), mask, collected.values + n_values);
        n_values += static_cast<size_t>(__builtin_popcount(mask));
      }
    }
  }
  return FinishRun(blocks, count, run, masks, collected, n_values);
}

#if !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif

}  // namespace

size_t RunPackers(RunPacker packers[kMostRunPackers]) {
  size_t count = 0;
  packers[count++] = PackRunAnywhere;
#ifdef JPEGRT_PACK_X86
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt"))
    packers[count++] = PackRunAvx2;
  if (__builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512vbmi") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
    packers[count++] = PackRunAvx512;
#endif
  return count;
}

}  // namespace jpegrt
