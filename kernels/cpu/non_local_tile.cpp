#include "non_local_tile.h"

#include <algorithm>
#include <cfloat>

#include "vectors.h"

namespace jpegrt {
namespace {

// Loops take this many neighbouring shifts at once, which share what they load of the queries.
constexpr int kShiftsAtOnce = 4;

ptrdiff_t AlignDown(ptrdiff_t position) { return position & -kTileAlignment; }
ptrdiff_t AlignUp(ptrdiff_t position) { return AlignDown(position + kTileAlignment - 1); }

// An array that is indexed by position, or kArrays of them.
template <typename T, int kArrays = 1>
class Span {
 public:
  // Grows `memory` to hold positions [begin, end).
  Span(std::vector<T>* memory, ptrdiff_t begin, ptrdiff_t end) : begin_(begin), size_(end - begin) {
    const auto size = static_cast<size_t>(kArrays * size_);
    if (memory->size() < size) memory->resize(size);
    data_ = memory->data();
  }
  T* at(ptrdiff_t position) const { return data_ + (position - begin_); }
  T* at(int array, ptrdiff_t position) const { return at(position) + array * size_; }

 private:
  T* data_;
  ptrdiff_t begin_, size_;
};

// A tile's work: which queries, and the loops' scratch memory.
struct Work {
  const NonLocalPlanes& planes;
  ptrdiff_t begin, end;  // the tile
  Span<float, kShiftsAtOnce> squares, columns;
};

// squares[k] = |g(p) - g(p + shift + k)|^2 of kLanes positions from p on.
template <int kLanes, int kChannels, int kShifts>
JPEGRT_INLINE void SquareDifferences(const NonLocalPlanes& planes, ptrdiff_t shift, ptrdiff_t p,
                                     Vector<float, kLanes> squares[kShifts]) {
  for (int c = 0; c < kChannels; ++c) {
    const auto own = Load<kLanes>(planes.guide[c] + p);
    for (int k = 0; k < kShifts; ++k) {
      const auto difference = own - Load<kLanes>(planes.guide[c] + p + shift + k);
      squares[k] = c == 0 ? difference * difference : squares[k] + difference * difference;
    }
  }
}

// work.columns(k, p) for p in [first - kTileAlignment, last + kTileAlignment): the sum of squares
// at p and in the rows above and below.
template <int kLanes, int kChannels, int kShifts>
JPEGRT_INLINE void SumColumns(const Work& work, ptrdiff_t shift, ptrdiff_t first, ptrdiff_t last) {
  const ptrdiff_t pitch = work.planes.pitch;
  const auto &squares = work.squares, &columns = work.columns;
  first -= kTileAlignment, last += kTileAlignment;
  for (ptrdiff_t p = first - pitch; p < first + pitch; p += kLanes) {
    Vector<float, kLanes> here[kShifts];
    SquareDifferences<kLanes, kChannels, kShifts>(work.planes, shift, p, here);
    for (int k = 0; k < kShifts; ++k) Store(squares.at(k, p), here[k]);
  }
  for (ptrdiff_t p = first; p < last; p += kLanes) {
    Vector<float, kLanes> below[kShifts];
    SquareDifferences<kLanes, kChannels, kShifts>(work.planes, shift, p + pitch, below);
    for (int k = 0; k < kShifts; ++k) {
      Store(squares.at(k, p + pitch), below[k]);
      Store(columns.at(k, p),
            Load<kLanes>(squares.at(k, p - pitch)) + Load<kLanes>(squares.at(k, p)) + below[k]);
    }
  }
}

// The logits, in bits, of kLanes queries from m on, whose logit_scale is `scale`, with the keys
// shift + k further.
template <int kLanes>
JPEGRT_INLINE Vector<float, kLanes> Logits(const Work& work, ptrdiff_t shift, int k, ptrdiff_t m,
                                           Vector<float, kLanes> scale) {
  const float* const columns = work.columns.at(k, m);
  const auto distance =
      Load<kLanes>(columns - 1) + Load<kLanes>(columns) + Load<kLanes>(columns + 1);
  return distance * scale + Load<kLanes>(work.planes.key_bias + m + shift + k);
}

// Calls add(constant) for the number of shifts to take at once, and the first of them.
template <typename Add>
JPEGRT_INLINE void ForShifts(const ShiftRun& run, const Add& add) {
  ptrdiff_t shift = run.first;
  for (; shift + kShiftsAtOnce <= run.last; shift += kShiftsAtOnce)
    add(std::integral_constant<int, kShiftsAtOnce>(), shift);
  for (; shift < run.last; ++shift) add(std::integral_constant<int, 1>(), shift);
}

// Adds the weights of kShifts shifts from `shift` on to `sums`. kFindLargest: some query's largest
// logit is not known to be 0 beforehand, because its own key is masked.
template <int kLanes, int kChannels, bool kFindLargest, int kShifts>
JPEGRT_INLINE void AddWeights(const Work& work, ptrdiff_t shift, const Span<float>& sums) {
  const ptrdiff_t first = std::max(work.begin, AlignDown(-(shift + kShifts - 1)));
  const ptrdiff_t last = std::min(work.end, AlignUp(work.planes.positions - shift));
  if (first >= last) return;
  SumColumns<kLanes, kChannels, kShifts>(work, shift, first, last);
  for (ptrdiff_t m = first; m < last; m += kLanes) {
    const auto scale = Load<kLanes>(work.planes.logit_scale + m);
    auto sum = Load<kLanes>(sums.at(m));
    Vector<float, kLanes> logits[kShifts];
    for (int k = 0; k < kShifts; ++k) {
      logits[k] = Logits<kLanes>(work, shift, k, m, scale);
      sum += Exp2<kLanes>(logits[k]);
    }
    if constexpr (kFindLargest) {
      auto largest = Load<kLanes>(work.planes.max_logit + m);
      for (int k = 0; k < kShifts; ++k) largest = logits[k] > largest ? logits[k] : largest;
      Store(work.planes.max_logit + m, largest);
    }
    Store(sums.at(m), sum);
  }
}

template <int kLanes, int kChannels, bool kFindLargest>
JPEGRT_INLINE void SumWeightsOf(const NonLocalPlanes& planes, const std::vector<ShiftRun>& shifts,
                                ptrdiff_t begin, ptrdiff_t end, NonLocalScratch* scratch) {
  using Double = Vector<double, kLanes>;
  const ptrdiff_t reach = planes.pitch + 2 * kTileAlignment;
  const Work work = {planes,
                     begin,
                     end,
                     {&scratch->squares, begin - reach, end + reach},
                     {&scratch->columns, begin - reach, end + reach}};
  const Span<float> sums(&scratch->sums, begin, end);
  const Span<double> totals(&scratch->totals, begin, end);
  std::fill(totals.at(begin), totals.at(end), 0.0);
  for (ptrdiff_t m = begin; m < end; ++m)
    planes.max_logit[m] = planes.key_bias[m] == 0 ? 0 : -FLT_MAX;

  for (const ShiftRun& run : shifts) {
    const ptrdiff_t first = std::max(begin, AlignDown(-(run.last - 1)));
    const ptrdiff_t last = std::min(end, AlignUp(planes.positions - run.first));
    if (first >= last) continue;
    std::fill(sums.at(first), sums.at(last), 0.0f);
    ForShifts(run, [&](auto shifts_at_once, ptrdiff_t shift) JPEGRT_INLINE_LAMBDA {
      AddWeights<kLanes, kChannels, kFindLargest, shifts_at_once>(work, shift, sums);
    });
    for (ptrdiff_t m = first; m < last; m += kLanes)
      Store(totals.at(m),
            Load<kLanes>(totals.at(m)) + __builtin_convertvector(Load<kLanes>(sums.at(m)), Double));
  }

  for (ptrdiff_t m = begin; m < end; ++m) {
    const bool is_inside = m < planes.positions && m % planes.pitch < planes.width;
    const double sum = *totals.at(m);
    planes.inverse_sum[m] = is_inside && sum > 0 ? static_cast<float>(1 / sum) : 0.0f;
    if (!is_inside || planes.max_logit[m] >= kLeastMaxLogitInFloat) planes.max_logit[m] = 0;
  }
}

// What SumValues adds up: weights of the queries [near, far), whose patches reach into the tile.
template <int kChannels>
struct ValueSums {
  ptrdiff_t near, far;
  ptrdiff_t written_first, written_last;  // the weights that may not be 0
  Span<float, kShiftsAtOnce> weights, weight_columns;
  float* sums[kChannels];
};

template <int kLanes, int kChannels, int kShifts>
JPEGRT_INLINE void AddValues(const Work& work, ptrdiff_t shift, ValueSums<kChannels>* to) {
  const NonLocalPlanes& planes = work.planes;
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
  SumColumns<kLanes, kChannels, kShifts>(work, shift, first, last);
  for (ptrdiff_t m = first; m < last; m += kLanes) {
    const auto scale = Load<kLanes>(planes.logit_scale + m);
    const auto largest = Load<kLanes>(planes.max_logit + m);
    const auto inverse_sum = Load<kLanes>(planes.inverse_sum + m);
    for (int k = 0; k < kShifts; ++k)
      Store(to->weights.at(k, m),
            Exp2<kLanes>(Logits<kLanes>(work, shift, k, m, scale) - largest) * inverse_sum);
  }
  const ptrdiff_t p_first = std::max(work.begin, AlignDown(first - pitch - 1));
  const ptrdiff_t p_last = std::min(work.end, AlignUp(last + pitch + 1));
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

template <int kLanes, int kChannels>
JPEGRT_INLINE void SumValuesOf(const NonLocalPlanes& planes, const std::vector<ShiftRun>& shifts,
                               ptrdiff_t begin, ptrdiff_t end, NonLocalScratch* scratch) {
  const ptrdiff_t pitch = planes.pitch;
  const ptrdiff_t reach = 2 * pitch + 4 * kTileAlignment;
  const ptrdiff_t near = std::max<ptrdiff_t>(0, AlignDown(begin - pitch - 1));
  const ptrdiff_t far = std::min(AlignUp(planes.positions), AlignUp(end + pitch + 1));
  const ptrdiff_t size = end - begin;
  scratch->sums.resize(static_cast<size_t>(kChannels * size));
  scratch->totals.assign(static_cast<size_t>(kChannels * size), 0.0);
  scratch->weights.assign(static_cast<size_t>(kShiftsAtOnce * (size + 2 * reach)), 0.0f);
  const Work work = {planes,
                     begin,
                     end,
                     {&scratch->squares, begin - reach, end + reach},
                     {&scratch->columns, begin - reach, end + reach}};
  ValueSums<kChannels> to = {near,
                             far,
                             near,
                             near,
                             {&scratch->weights, begin - reach, end + reach},
                             {&scratch->weight_columns, begin - reach, end + reach},
                             {}};
  double* totals[kChannels];
  for (int c = 0; c < kChannels; ++c) {
    to.sums[c] = scratch->sums.data() + c * size - begin;
    totals[c] = scratch->totals.data() + c * size - begin;
  }
  for (const ShiftRun& run : shifts) {
    std::fill(scratch->sums.begin(), scratch->sums.end(), 0.0f);
    ForShifts(run, [&](auto shifts_at_once, ptrdiff_t shift) JPEGRT_INLINE_LAMBDA {
      AddValues<kLanes, kChannels, shifts_at_once>(work, shift, &to);
    });
    for (int c = 0; c < kChannels; ++c)
      for (ptrdiff_t p = begin; p < end; p += kLanes)
        Store(totals[c] + p,
              Load<kLanes>(totals[c] + p) +
                  __builtin_convertvector(Load<kLanes>(to.sums[c] + p), Vector<double, kLanes>));
  }
}

template <int kLanes, int kChannels>
JPEGRT_INLINE void SumWeightsIn(const NonLocalPlanes& planes, const std::vector<ShiftRun>& shifts,
                                ptrdiff_t begin, ptrdiff_t end, NonLocalScratch* scratch) {
  bool find_largest = false;
  for (ptrdiff_t m = begin; m < std::min(end, planes.positions); ++m)
    find_largest |= m % planes.pitch < planes.width && planes.key_bias[m] != 0;
  if (find_largest)
    SumWeightsOf<kLanes, kChannels, true>(planes, shifts, begin, end, scratch);
  else
    SumWeightsOf<kLanes, kChannels, false>(planes, shifts, begin, end, scratch);
}

using TileFunction = void (*)(const NonLocalPlanes&, const std::vector<ShiftRun>&, ptrdiff_t,
                              ptrdiff_t, NonLocalScratch*);

#define JPEGRT_VARIANT(name, lanes, target)                                                       \
  template <int kChannels>                                                                        \
  target void SumWeights##name(const NonLocalPlanes& planes, const std::vector<ShiftRun>& shifts, \
                               ptrdiff_t begin, ptrdiff_t end, NonLocalScratch* scratch) {        \
    SumWeightsIn<lanes, kChannels>(planes, shifts, begin, end, scratch);                          \
  }                                                                                               \
  template <int kChannels>                                                                        \
  target void SumValues##name(const NonLocalPlanes& planes, const std::vector<ShiftRun>& shifts,  \
                              ptrdiff_t begin, ptrdiff_t end, NonLocalScratch* scratch) {         \
    SumValuesOf<lanes, kChannels>(planes, shifts, begin, end, scratch);                           \
  }
JPEGRT_FOR_VARIANTS(JPEGRT_VARIANT)
#undef JPEGRT_VARIANT

}  // namespace

ptrdiff_t NonLocalSlack(ptrdiff_t pitch) { return AlignUp(pitch + 4 * kTileAlignment); }

void SumWeights(const NonLocalPlanes& planes, const std::vector<ShiftRun>& shifts, ptrdiff_t begin,
                ptrdiff_t end, NonLocalScratch* scratch) {
  static const TileFunction of_one = JPEGRT_BEST_VARIANT(SumWeights, <1>);
  static const TileFunction of_three = JPEGRT_BEST_VARIANT(SumWeights, <3>);
  (planes.channels == 1 ? of_one : of_three)(planes, shifts, begin, end, scratch);
}

void SumValues(const NonLocalPlanes& planes, const std::vector<ShiftRun>& shifts, ptrdiff_t begin,
               ptrdiff_t end, NonLocalScratch* scratch) {
  static const TileFunction of_one = JPEGRT_BEST_VARIANT(SumValues, <1>);
  static const TileFunction of_three = JPEGRT_BEST_VARIANT(SumValues, <3>);
  (planes.channels == 1 ? of_one : of_three)(planes, shifts, begin, end, scratch);
}

}  // namespace jpegrt
