#include "pack_run.h"

#include <array>
#include <cstring>

#include "packed_format.h"
#include "simd.h"

#if defined(__GNUC__) && defined(__x86_64__)
#define JPEGRT_PACK_AVX512
#include <immintrin.h>
#endif

namespace jpegrt {
namespace {

// Values and escapes are collected here, because their place depends on how many masks there are.
// Vectors are stored whole, hence the room behind.
struct Collected {
  uint8_t values[kRunBlocks * 64 + 64];
  int16_t escapes[kRunBlocks * 64 + 32];
};

constexpr int kEscapeLimit = 127;

bool NeedsEscape(int value) { return value < -kEscapeLimit || value > kEscapeLimit; }

int16_t DcDifference(int16_t dc, int16_t previous) {
  return static_cast<int16_t>(static_cast<uint16_t>(dc) - static_cast<uint16_t>(previous));
}

// Groups and masks are in place; appends the rest, or stores the run dense if that is no longer.
size_t FinishRun(const int16_t* blocks, size_t count, uint8_t* run, size_t masks_end,
                 const Collected& collected, size_t n_values, size_t n_escapes) {
  const size_t escapes_size = n_escapes * sizeof(int16_t);
  const size_t end = masks_end + n_values + escapes_size;
  const size_t size = (end + 3) & ~size_t{3};
  if (size >= DenseSize(count)) {
    std::memcpy(run, blocks, DenseSize(count));
    return DenseSize(count);
  }
  std::memcpy(run + masks_end, collected.values, n_values);
  if (n_escapes) std::memcpy(run + masks_end + n_values, collected.escapes, escapes_size);
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

}  // namespace

size_t PackRunAnywhere(const int16_t* blocks, size_t count, uint8_t* run) {
  Collected collected;
  size_t n_values = 0, n_escapes = 0;
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
      if (escape) collected.escapes[n_escapes++] = value;
    }
  }
  return FinishRun(blocks, count, run, static_cast<size_t>(masks - run), collected, n_values,
                   n_escapes);
}

#ifdef JPEGRT_PACK_AVX512
#if !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of GCC 12's own intrinsics
#endif
namespace {

// A block at a time: 64 saturated bytes, permuted to zigzag, compressed.
__attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,popcnt"))) size_t
PackRunAvx512(const int16_t* blocks, size_t count, uint8_t* run) {
  Collected collected;
  size_t n_values = 0, n_escapes = 0;
  uint8_t* masks = run + count;
  int16_t previous_dc = 0;
  const __m512i zigzag = _mm512_loadu_si512(kZigzag);
  for (size_t i = 0; i < count; ++i) {
    const int16_t* block = blocks + 64 * i;
    const __m512i upper = _mm512_loadu_si512(block), lower = _mm512_loadu_si512(block + 32);
    const __m512i saturated = _mm512_inserti64x4(
        _mm512_castsi256_si512(_mm512_cvtsepi16_epi8(upper)), _mm512_cvtsepi16_epi8(lower), 1);
    const int16_t difference = DcDifference(block[0], previous_dc);
    previous_dc = block[0];
    const int clamped = difference < -128 ? -128 : difference > 127 ? 127 : difference;
    __m512i values = _mm512_permutexvar_epi8(zigzag, saturated);
    values = _mm512_mask_set1_epi8(values, 1, static_cast<char>(clamped));
    const uint64_t present = _mm512_test_epi8_mask(values, values);

    // 127 and more may have been more than 127, likewise -128.
    const uint64_t large =
        _mm512_cmpgt_epu8_mask(_mm512_abs_epi8(values), _mm512_set1_epi8(kEscapeLimit - 1));
    if (__builtin_expect(large != 0, 0)) {
      uint64_t escaped = 0;
      for (uint64_t left = large; left; left &= left - 1) {
        const int position = __builtin_ctzll(left);
        const int16_t value = position == 0 ? difference : block[kZigzag[position]];
        if (!NeedsEscape(value)) continue;
        escaped |= uint64_t{1} << position;
        collected.escapes[n_escapes++] = value;
      }
      values = _mm512_mask_set1_epi8(values, escaped, static_cast<char>(kEscape));
    }
    _mm512_storeu_si512(collected.values + n_values, _mm512_maskz_compress_epi8(present, values));
    n_values += static_cast<size_t>(__builtin_popcountll(present));

    const __m128i all_masks = _mm_cvtsi64_si128(static_cast<long long>(present));
    const auto groups = static_cast<uint8_t>(_mm_test_epi8_mask(all_masks, all_masks));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(masks), _mm_maskz_compress_epi8(groups, all_masks));
    masks += __builtin_popcount(groups);
    run[i] = groups;
  }
  return FinishRun(blocks, count, run, static_cast<size_t>(masks - run), collected, n_values,
                   n_escapes);
}

}  // namespace
#if !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#endif

RunPacker FastestRunPacker() {
#ifdef JPEGRT_PACK_AVX512
  if (__builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512vbmi") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
    return PackRunAvx512;
#endif
  return PackRunAnywhere;
}

}  // namespace jpegrt
