#include "non_local_tile.h"

#include <algorithm>
#include <cfloat>

#include "vectors.h"

namespace jpegrt {
namespace {

ptrdiff_t AlignDown(ptrdiff_t position) { return position & -kTileAlignment; }
ptrdiff_t AlignUp(ptrdiff_t position) { return AlignDown(position + kTileAlignment - 1); }

// An array that is indexed by position.
template <typename T>
class Span {
 public:
  // Grows `memory` to hold positions [begin, end).
  Span(std::vector<T>* memory, ptrdiff_t begin, ptrdiff_t end) : begin_(begin) {
    const auto size = static_cast<size_t>(end - begin);
    if (memory->size() < size) memory->resize(size);
    data_ = memory->data();
  }
  T* at(ptrdiff_t position) const { return data_ + (position - begin_); }

 private:
  T* data_;
  ptrdiff_t begin_;
};

template <typename Real, int kLanes>
struct Vectors {
  using Float = Vector<float, kLanes>;
  using Wide = Vector<Real, kLanes>;

  static JPEGRT_INLINE Wide Widened(const float* address) {
    return __builtin_convertvector(Load<kLanes>(address), Wide);
  }
};

// Loops take this many neighbouring shifts at once, which share what they load of the queries.
constexpr int kShiftsAtOnce = 4;

// The scratch of kShiftsAtOnce shifts, each indexed by position.
template <typename T>
struct ShiftSpans {
  ShiftSpans(std::vector<T>* memory, ptrdiff_t begin, ptrdiff_t end)
      : all(memory, kShiftsAtOnce * begin, kShiftsAtOnce * end), begin(begin), size(end - begin) {}
  T* at(int shift, ptrdiff_t position) const {
    return all.at(kShiftsAtOnce * begin) + shift * size + (position - begin);
  }
  Span<T> all;
  ptrdiff_t begin, size;
};

// squares[k] = |g(p) - g(p + shift + k)|^2 of kLanes positions from p on.
template <typename Real, int kLanes, int kChannels, int kShifts>
JPEGRT_INLINE void SquareDifferences(const NonLocalPlanes& planes, ptrdiff_t shift, ptrdiff_t p,
                                     Vector<Real, kLanes> squares[kShifts]) {
  using V = Vectors<Real, kLanes>;
  for (int c = 0; c < kChannels; ++c) {
    const auto own = V::Widened(planes.guide[c] + p);
    for (int k = 0; k < kShifts; ++k) {
      const auto difference = own - V::Widened(planes.guide[c] + p + shift + k);
      squares[k] = c == 0 ? difference * difference : squares[k] + difference * difference;
    }
  }
}

// columns[k][p] for p in [first - kTileAlignment, last + kTileAlignment): the sum of squares[k] at
// p and in the rows above and below. `squares` is scratch for a row more on both sides.
template <typename Real, int kLanes, int kChannels, int kShifts>
JPEGRT_INLINE void SumColumns(const NonLocalPlanes& planes, ptrdiff_t shift, ptrdiff_t first,
                              ptrdiff_t last, const ShiftSpans<Real>& squares,
                              const ShiftSpans<Real>& columns) {
  const ptrdiff_t pitch = planes.pitch;
  first -= kTileAlignment, last += kTileAlignment;
  for (ptrdiff_t p = first - pitch; p < first + pitch; p += kLanes) {
    Vector<Real, kLanes> here[kShifts];
    SquareDifferences<Real, kLanes, kChannels, kShifts>(planes, shift, p, here);
    for (int k = 0; k < kShifts; ++k) Store(squares.at(k, p), here[k]);
  }
  for (ptrdiff_t p = first; p < last; p += kLanes) {
    Vector<Real, kLanes> below[kShifts];
    SquareDifferences<Real, kLanes, kChannels, kShifts>(planes, shift, p + pitch, below);
    for (int k = 0; k < kShifts; ++k) {
      Store(squares.at(k, p + pitch), below[k]);
      Store(columns.at(k, p),
            Load<kLanes>(squares.at(k, p - pitch)) + Load<kLanes>(squares.at(k, p)) + below[k]);
    }
  }
}

// The logits, in bits, of kLanes queries from m on with the keys `shift` further, but for the
// factor scale.
template <typename Real, int kLanes>
JPEGRT_INLINE Vector<Real, kLanes> Logits(const NonLocalPlanes& planes, ptrdiff_t shift,
                                          ptrdiff_t m, const Real* columns,
                                          Vector<Real, kLanes> scale) {
  const auto distance =
      Load<kLanes>(columns - 1) + Load<kLanes>(columns) + Load<kLanes>(columns + 1);
  return distance * scale + Vectors<Real, kLanes>::Widened(planes.key_bias + m + shift);
}

// What the loops of SumWeights work on.
template <typename Real>
struct WeightSums {
  ShiftSpans<Real> squares, columns;
  Span<Real> max_logit;
  Span<float> sums;
};

// Adds the weights of kShifts shifts from `shift` on. kOnline: some query's largest logit is not
// known to be 0 beforehand, because its own key is masked. The running maximum then rescales the
// running sum.
template <typename Real, int kLanes, int kChannels, bool kOnline, int kShifts>
JPEGRT_INLINE void AddWeights(const NonLocalPlanes& planes, ptrdiff_t shift, ptrdiff_t begin,
                              ptrdiff_t end, const WeightSums<Real>& to) {
  using V = Vectors<Real, kLanes>;
  const ptrdiff_t first = std::max(begin, AlignDown(-(shift + kShifts - 1)));
  const ptrdiff_t last = std::min(end, AlignUp(planes.positions - shift));
  if (first >= last) return;
  SumColumns<Real, kLanes, kChannels, kShifts>(planes, shift, first, last, to.squares, to.columns);
  for (ptrdiff_t m = first; m < last; m += kLanes) {
    const auto scale = V::Widened(planes.logit_scale + m);
    auto sum = Load<kLanes>(to.sums.at(m));
    if constexpr (kOnline) {
      auto largest = Load<kLanes>(to.max_logit.at(m));
      for (int k = 0; k < kShifts; ++k) {
        const auto logits = Logits<Real, kLanes>(planes, shift + k, m, to.columns.at(k, m), scale);
        const auto is_larger = logits > largest;
        const auto fall = is_larger ? largest - logits : logits - largest;
        const auto ratio = Exp2<kLanes>(__builtin_convertvector(fall, typename V::Float));
        const auto is_larger_float = __builtin_convertvector(is_larger, Vector<int32_t, kLanes>);
        sum = is_larger_float ? sum * ratio + 1.0f : sum + ratio;
        largest = is_larger ? logits : largest;
      }
      Store(to.max_logit.at(m), largest);
    } else {
      for (int k = 0; k < kShifts; ++k)
        sum += Exp2<kLanes>(__builtin_convertvector(
            Logits<Real, kLanes>(planes, shift + k, m, to.columns.at(k, m), scale),
            typename V::Float));
    }
    Store(to.sums.at(m), sum);
  }
}

template <typename Real, int kLanes, int kChannels, bool kOnline>
JPEGRT_INLINE void SumWeightsOf(const NonLocalPlanes& planes, const std::vector<ShiftRun>& shifts,
                                ptrdiff_t begin, ptrdiff_t end, NonLocalScratch* scratch,
                                NonLocalScratch::Distances<Real>* distances) {
  using V = Vectors<Real, kLanes>;
  using Double = Vector<double, kLanes>;
  const ptrdiff_t reach = planes.pitch + 2 * kTileAlignment;
  const WeightSums<Real> to = {{&distances->squares, begin - reach, end + reach},
                               {&distances->columns, begin - reach, end + reach},
                               {&distances->max_logit, begin, end},
                               {&scratch->sums, begin, end}};
  const Span<double> totals(&scratch->totals, begin, end);
  std::fill(totals.at(begin), totals.at(end), 0.0);
  for (ptrdiff_t m = begin; m < end; ++m) {
    *to.max_logit.at(m) = planes.key_bias[m] == 0 ? 0 : -FLT_MAX;
    planes.max_logit[m] = *to.max_logit.at(m);
  }

  for (const ShiftRun& run : shifts) {
    const ptrdiff_t first = std::max(begin, AlignDown(-(run.last - 1)));
    const ptrdiff_t last = std::min(end, AlignUp(planes.positions - run.first));
    if (first >= last) continue;
    std::fill(to.sums.at(first), to.sums.at(last), 0.0f);
    ptrdiff_t shift = run.first;
    for (; shift + kShiftsAtOnce <= run.last; shift += kShiftsAtOnce)
      AddWeights<Real, kLanes, kChannels, kOnline, kShiftsAtOnce>(planes, shift, begin, end, to);
    for (; shift < run.last; ++shift)
      AddWeights<Real, kLanes, kChannels, kOnline, 1>(planes, shift, begin, end, to);
    for (ptrdiff_t m = first; m < last; m += kLanes) {
      auto total = Load<kLanes>(totals.at(m));
      if constexpr (kOnline) {
        const auto largest = __builtin_convertvector(Load<kLanes>(to.max_logit.at(m)), Double);
        const auto rise = Load<kLanes>(planes.max_logit + m) - largest;
        total *= __builtin_convertvector(
            Exp2<kLanes>(__builtin_convertvector(rise, typename V::Float)), Double);
        Store(planes.max_logit + m, largest);
      }
      Store(totals.at(m), total + __builtin_convertvector(Load<kLanes>(to.sums.at(m)), Double));
    }
  }

  for (ptrdiff_t m = begin; m < end; ++m) {
    const bool is_inside = m < planes.positions && m % planes.pitch < planes.width;
    const double sum = *totals.at(m);
    planes.inverse_sum[m] = is_inside && sum > 0 ? static_cast<float>(1 / sum) : 0.0f;
    planes.is_lone[m] = is_inside && !(sum > 0);
    if (!is_inside) planes.max_logit[m] = 0;
  }
}

// What the loops of SumValues work on.
template <typename Real, int kChannels>
struct ValueSums {
  ShiftSpans<Real> squares, columns;
  Span<Real> max_logit;
  ShiftSpans<float> weights, weight_columns;
  ptrdiff_t begin, end, near, far;  // the tile, and the queries whose patches reach into it
  float* sums[kChannels];
  ptrdiff_t written_first, written_last;  // the weights that may not be 0
};

template <typename Real, int kLanes, int kChannels, int kShifts>
JPEGRT_INLINE void AddValues(const NonLocalPlanes& planes, ptrdiff_t shift,
                             ValueSums<Real, kChannels>* to) {
  using V = Vectors<Real, kLanes>;
  const ptrdiff_t pitch = planes.pitch;
  const ptrdiff_t first = std::max(to->near, AlignDown(-(shift + kShifts - 1)));
  const ptrdiff_t last = std::min(to->far, AlignUp(planes.positions - shift));
  if (first >= last) return;
  for (int k = 0; k < kShiftsAtOnce; ++k) {
    if (first > to->written_first)
      std::fill(to->weights.at(k, to->written_first), to->weights.at(k, first), 0.0f);
    if (last < to->written_last)
      std::fill(to->weights.at(k, last), to->weights.at(k, to->written_last), 0.0f);
  }
  to->written_first = first, to->written_last = last;
  SumColumns<Real, kLanes, kChannels, kShifts>(planes, shift, first, last, to->squares,
                                               to->columns);
  for (ptrdiff_t m = first; m < last; m += kLanes) {
    const auto scale = V::Widened(planes.logit_scale + m);
    const auto largest = Load<kLanes>(to->max_logit.at(m));
    const auto inverse_sum = Load<kLanes>(planes.inverse_sum + m);
    for (int k = 0; k < kShifts; ++k) {
      const auto logits =
          Logits<Real, kLanes>(planes, shift + k, m, to->columns.at(k, m), scale) - largest;
      Store(to->weights.at(k, m),
            Exp2<kLanes>(__builtin_convertvector(logits, typename V::Float)) * inverse_sum);
    }
  }
  if (shift <= 0 && 0 < shift + kShifts)
    for (ptrdiff_t m = first; m < last; ++m)
      if (planes.is_lone[m]) *to->weights.at(static_cast<int>(-shift), m) = 1;
  const ptrdiff_t p_first = std::max(to->begin, AlignDown(first - pitch - 1));
  const ptrdiff_t p_last = std::min(to->end, AlignUp(last + pitch + 1));
  for (int k = 0; k < kShifts; ++k)
    for (ptrdiff_t p = p_first - kTileAlignment; p < p_last + kTileAlignment; p += kLanes)
      Store(to->weight_columns.at(k, p), Load<kLanes>(to->weights.at(k, p - pitch)) +
                                             Load<kLanes>(to->weights.at(k, p)) +
                                             Load<kLanes>(to->weights.at(k, p + pitch)));
  for (ptrdiff_t p = p_first; p < p_last; p += kLanes) {
    Vector<float, kLanes> sums[kChannels];
    for (int c = 0; c < kChannels; ++c) sums[c] = Load<kLanes>(to->sums[c] + p);
    for (int k = 0; k < kShifts; ++k) {
      const float* const columns = to->weight_columns.at(k, p);
      const auto weight =
          Load<kLanes>(columns - 1) + Load<kLanes>(columns) + Load<kLanes>(columns + 1);
      for (int c = 0; c < kChannels; ++c)
        sums[c] += weight * Load<kLanes>(planes.value[c] + p + shift + k);
    }
    for (int c = 0; c < kChannels; ++c) Store(to->sums[c] + p, sums[c]);
  }
}

template <typename Real, int kLanes, int kChannels>
JPEGRT_INLINE void SumValuesOf(const NonLocalPlanes& planes, const std::vector<ShiftRun>& shifts,
                               ptrdiff_t begin, ptrdiff_t end, NonLocalScratch* scratch,
                               NonLocalScratch::Distances<Real>* distances) {
  const ptrdiff_t pitch = planes.pitch;
  const ptrdiff_t near = std::max<ptrdiff_t>(0, AlignDown(begin - pitch - 1));
  const ptrdiff_t far = std::min(AlignUp(planes.positions), AlignUp(end + pitch + 1));
  const ptrdiff_t reach = 2 * pitch + 4 * kTileAlignment;
  const ptrdiff_t size = end - begin;
  scratch->sums.resize(static_cast<size_t>(kChannels * size));
  scratch->totals.assign(static_cast<size_t>(kChannels * size), 0.0);
  scratch->weights.assign(static_cast<size_t>(kShiftsAtOnce * (size + 2 * reach)), 0.0f);
  ValueSums<Real, kChannels> to = {{&distances->squares, begin - reach, end + reach},
                                   {&distances->columns, begin - reach, end + reach},
                                   {&distances->max_logit, near, far},
                                   {&scratch->weights, begin - reach, end + reach},
                                   {&scratch->weight_columns, begin - reach, end + reach},
                                   begin,
                                   end,
                                   near,
                                   far,
                                   {},
                                   near,
                                   near};
  double* totals[kChannels];
  for (int c = 0; c < kChannels; ++c) {
    to.sums[c] = scratch->sums.data() + c * size - begin;
    totals[c] = scratch->totals.data() + c * size - begin;
  }
  for (ptrdiff_t m = near; m < far; ++m)
    *to.max_logit.at(m) = static_cast<Real>(planes.max_logit[m]);

  for (const ShiftRun& run : shifts) {
    std::fill(scratch->sums.begin(), scratch->sums.end(), 0.0f);
    ptrdiff_t shift = run.first;
    for (; shift + kShiftsAtOnce <= run.last; shift += kShiftsAtOnce)
      AddValues<Real, kLanes, kChannels, kShiftsAtOnce>(planes, shift, &to);
    for (; shift < run.last; ++shift) AddValues<Real, kLanes, kChannels, 1>(planes, shift, &to);
    for (int c = 0; c < kChannels; ++c)
      for (ptrdiff_t p = begin; p < end; p += kLanes)
        Store(totals[c] + p,
              Load<kLanes>(totals[c] + p) +
                  __builtin_convertvector(Load<kLanes>(to.sums[c] + p), Vector<double, kLanes>));
  }
}

// A tile's work with as many lanes as a register of kRegisterBytes holds.
template <int kRegisterBytes, int kChannels>
JPEGRT_INLINE void SumWeightsIn(const NonLocalPlanes& planes, const std::vector<ShiftRun>& shifts,
                                ptrdiff_t begin, ptrdiff_t end, Exactness exactness,
                                NonLocalScratch* scratch) {
  bool is_online = false;
  for (ptrdiff_t m = begin; m < std::min(end, planes.positions); ++m)
    is_online |= m % planes.pitch < planes.width && planes.key_bias[m] != 0;
  if (exactness == Exactness::kDouble)
    SumWeightsOf<double, kRegisterBytes / 8, kChannels, true>(planes, shifts, begin, end, scratch,
                                                              &scratch->in_double);
  else if (is_online)
    SumWeightsOf<float, kRegisterBytes / 4, kChannels, true>(planes, shifts, begin, end, scratch,
                                                             &scratch->in_float);
  else
    SumWeightsOf<float, kRegisterBytes / 4, kChannels, false>(planes, shifts, begin, end, scratch,
                                                              &scratch->in_float);
}

template <int kRegisterBytes, int kChannels>
JPEGRT_INLINE void SumValuesIn(const NonLocalPlanes& planes, const std::vector<ShiftRun>& shifts,
                               ptrdiff_t begin, ptrdiff_t end, Exactness exactness,
                               NonLocalScratch* scratch) {
  if (exactness == Exactness::kDouble)
    SumValuesOf<double, kRegisterBytes / 8, kChannels>(planes, shifts, begin, end, scratch,
                                                       &scratch->in_double);
  else
    SumValuesOf<float, kRegisterBytes / 4, kChannels>(planes, shifts, begin, end, scratch,
                                                      &scratch->in_float);
}

using TileFunction = void (*)(const NonLocalPlanes&, const std::vector<ShiftRun>&, ptrdiff_t,
                              ptrdiff_t, Exactness, NonLocalScratch*);

struct TileFunctions {
  TileFunction sum_weights[2], sum_values[2];  // of 1 and 3 channels
};

#define JPEGRT_TILE_FUNCTIONS(name, bytes, target)                                                \
  template <int kChannels>                                                                        \
  target void SumWeights##name(const NonLocalPlanes& planes, const std::vector<ShiftRun>& shifts, \
                               ptrdiff_t begin, ptrdiff_t end, Exactness exactness,               \
                               NonLocalScratch* scratch) {                                        \
    SumWeightsIn<bytes, kChannels>(planes, shifts, begin, end, exactness, scratch);               \
  }                                                                                               \
  template <int kChannels>                                                                        \
  target void SumValues##name(const NonLocalPlanes& planes, const std::vector<ShiftRun>& shifts,  \
                              ptrdiff_t begin, ptrdiff_t end, Exactness exactness,                \
                              NonLocalScratch* scratch) {                                         \
    SumValuesIn<bytes, kChannels>(planes, shifts, begin, end, exactness, scratch);                \
  }                                                                                               \
  constexpr TileFunctions k##name = {{SumWeights##name<1>, SumWeights##name<3>},                  \
                                     {SumValues##name<1>, SumValues##name<3>}};

JPEGRT_TILE_FUNCTIONS(Portable, 16, )
#ifdef JPEGRT_AVX2
JPEGRT_TILE_FUNCTIONS(Avx2, 32, JPEGRT_AVX2)
#endif
#ifdef JPEGRT_AVX512
JPEGRT_TILE_FUNCTIONS(Avx512, 64, JPEGRT_AVX512)
#endif

const TileFunctions& BestFunctions() {
#ifdef JPEGRT_AVX512
  if (__builtin_cpu_supports("avx512f")) return kAvx512;
#endif
#ifdef JPEGRT_AVX2
  if (__builtin_cpu_supports("avx2")) return kAvx2;
#endif
  return kPortable;
}

}  // namespace

ptrdiff_t NonLocalSlack(ptrdiff_t pitch) { return AlignUp(pitch + 4 * kTileAlignment); }

void SumWeights(const NonLocalPlanes& planes, const std::vector<ShiftRun>& shifts, ptrdiff_t begin,
                ptrdiff_t end, Exactness exactness, NonLocalScratch* scratch) {
  BestFunctions().sum_weights[planes.channels == 3](planes, shifts, begin, end, exactness, scratch);
}

void SumValues(const NonLocalPlanes& planes, const std::vector<ShiftRun>& shifts, ptrdiff_t begin,
               ptrdiff_t end, Exactness exactness, NonLocalScratch* scratch) {
  BestFunctions().sum_values[planes.channels == 3](planes, shifts, begin, end, exactness, scratch);
}

}  // namespace jpegrt
