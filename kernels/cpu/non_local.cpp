#include "non_local.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "../shared/half.h"
#include "non_local_query.h"
#include "non_local_tile.h"
#include "thread_pool.h"

namespace jpegrt {
namespace {

constexpr double kLog2E = 1.4426950408889634;
constexpr double kLeastSquaredH = 1e-6;

constexpr ptrdiff_t kTileRows = 16;     // a tile's halo is 2 rows in all, computed twice
constexpr ptrdiff_t kLeastTile = 2048;  // positions

float Read(const float* image, size_t i) { return image[i]; }
float Read(const Half* image, size_t i) { return FloatFromHalf(image[i]); }
void Write(float* image, size_t i, double value) { image[i] = static_cast<float>(value); }
void Write(Half* image, size_t i, double value) {
  image[i] = HalfFromFloat(static_cast<float>(value));
}

// A plane of positions with slack on both sides.
template <typename T>
class Plane {
 public:
  Plane(ptrdiff_t positions, ptrdiff_t slack, T fill)
      : memory_(static_cast<size_t>(positions + 2 * slack), fill), slack_(slack) {}
  T* origin() { return memory_.data() + slack_; }
  const T* origin() const { return memory_.data() + slack_; }

 private:
  std::vector<T> memory_;
  ptrdiff_t slack_;
};

// One image at a time, in planes that are reused for the next.
class NonLocalImage {
 public:
  explicit NonLocalImage(const jpegrt_non_local_options& options);

  template <typename Sample>
  void Filter(const Sample* guide, const Sample* value, const float* h, const uint8_t* keys,
              ThreadPool* threads, Sample* filtered);

 private:
  template <typename Sample>
  void Fill(const Sample* guide, const Sample* value, const float* h, const uint8_t* keys);
  template <typename Sample>
  void StoreTile(ptrdiff_t begin, ptrdiff_t end, const std::vector<double>& totals,
                 Sample* filtered) const;
  void FilterFarQueries(ThreadPool* threads);
  // The positions of a query's window.
  void FindRows(ptrdiff_t m, std::vector<ShiftRun>* rows) const;

  ptrdiff_t width_, height_, pitch_, positions_, slack_, tile_, window_px_;
  float constant_h_;
  std::vector<ShiftRun> shifts_;
  std::vector<Plane<float>> guide_, value_;
  Plane<float> key_bias_, logit_scale_, inverse_sum_, max_logit_;
  Plane<int32_t> patch_of_;     // of far queries, in patches_; else -1
  std::vector<float> patches_;  // kMaxPatch numbers each
  NonLocalPlanes planes_ = {};
};

// Of a window that reaches `reach` pixels across, no key may be met across a row's end.
ptrdiff_t PitchOf(ptrdiff_t width, ptrdiff_t reach) {
  return width + std::max<ptrdiff_t>(2, std::min(reach, width - 1));
}

std::vector<ShiftRun> RunsOf(ptrdiff_t first, ptrdiff_t last) {
  std::vector<ShiftRun> runs;
  for (; first < last; first += kShiftsInRun)
    runs.push_back({first, std::min(last, first + kShiftsInRun)});
  return runs;
}

NonLocalImage::NonLocalImage(const jpegrt_non_local_options& options)
    : width_(options.width),
      height_(options.height),
      pitch_(PitchOf(width_, options.window_px)),
      positions_(height_ * pitch_),
      slack_(NonLocalSlack(pitch_)),
      window_px_(options.window_px),
      constant_h_(options.h),
      key_bias_(positions_, slack_, -std::numeric_limits<float>::infinity()),
      logit_scale_(positions_, slack_, 0),
      inverse_sum_(positions_, slack_, 0),
      max_logit_(positions_, slack_, 0),
      patch_of_(positions_, slack_, -1) {
  const ptrdiff_t tile = std::max(kLeastTile, kTileRows * pitch_);
  tile_ = (tile + kTileAlignment - 1) / kTileAlignment * kTileAlignment;

  if (options.window_px == 0) {
    shifts_ = RunsOf(1 - positions_, positions_);
  } else {
    const ptrdiff_t across = std::min<ptrdiff_t>(options.window_px, width_ - 1);
    const ptrdiff_t down = std::min<ptrdiff_t>(options.window_px, height_ - 1);
    for (ptrdiff_t dy = -down; dy <= down; ++dy)
      for (const ShiftRun& run : RunsOf(dy * pitch_ - across, dy * pitch_ + across + 1))
        shifts_.push_back(run);
  }

  for (uint32_t c = 0; c < options.channels; ++c) {
    guide_.emplace_back(positions_, slack_, 0.0f);
    value_.emplace_back(positions_, slack_, 0.0f);
  }
  for (uint32_t c = 0; c < options.channels; ++c) {
    planes_.guide[c] = guide_[c].origin();
    planes_.value[c] = value_[c].origin();
  }
  planes_.channels = static_cast<int>(options.channels);
  planes_.width = width_;
  planes_.pitch = pitch_;
  planes_.positions = positions_;
  planes_.key_bias = key_bias_.origin();
  planes_.logit_scale = logit_scale_.origin();
  planes_.max_logit = max_logit_.origin();
  planes_.inverse_sum = inverse_sum_.origin();
}

template <typename Sample>
void NonLocalImage::Fill(const Sample* guide, const Sample* value, const float* h,
                         const uint8_t* keys) {
  const size_t plane = static_cast<size_t>(width_ * height_);
  for (ptrdiff_t y = -1; y <= height_; ++y)
    for (ptrdiff_t x = -1; x <= width_; ++x) {
      const size_t i = static_cast<size_t>(std::clamp<ptrdiff_t>(y, 0, height_ - 1) * width_ +
                                           std::clamp<ptrdiff_t>(x, 0, width_ - 1));
      for (size_t c = 0; c < guide_.size(); ++c) {
        guide_[c].origin()[y * pitch_ + x] = Read(guide, c * plane + i);
        value_[c].origin()[y * pitch_ + x] = Read(value, c * plane + i);
      }
    }
  for (ptrdiff_t y = 0; y < height_; ++y)
    for (ptrdiff_t x = 0; x < width_; ++x) {
      const ptrdiff_t i = y * width_ + x, position = y * pitch_ + x;
      const double own_h = h ? h[i] : constant_h_;
      logit_scale_.origin()[position] =
          static_cast<float>(-kLog2E / (own_h * own_h + kLeastSquaredH));
      key_bias_.origin()[position] = !keys || keys[i] ? 0 : -std::numeric_limits<float>::infinity();
    }
}

void NonLocalImage::FilterFarQueries(ThreadPool* threads) {
  const auto is_far_logit = [](float logit) { return logit < kLeastMaxLogitInFloat; };
  std::vector<ptrdiff_t> queries;
  queries.reserve(static_cast<size_t>(
      std::count_if(planes_.max_logit, planes_.max_logit + positions_, is_far_logit)));
  for (ptrdiff_t m = 0; m < positions_; ++m) {
    const bool is_far = is_far_logit(planes_.max_logit[m]);
    patch_of_.origin()[m] = is_far ? static_cast<int32_t>(queries.size()) : -1;
    if (!is_far) continue;
    queries.push_back(m);
    planes_.inverse_sum[m] = 0;  // SumValues leaves it out
  }
  patches_.resize(kMaxPatch * queries.size());
  threads->ParallelFor(static_cast<uint32_t>(queries.size()), [&](uint32_t first, uint32_t last) {
    std::vector<ShiftRun> rows;
    for (size_t i = first; i < last; ++i) {
      FindRows(queries[i], &rows);
      FilterPatch(planes_, rows, queries[i], &patches_[kMaxPatch * i]);
    }
  });
}

void NonLocalImage::FindRows(ptrdiff_t m, std::vector<ShiftRun>* rows) const {
  rows->clear();
  if (window_px_ == 0) return rows->push_back({0, positions_});
  const ptrdiff_t x = m % pitch_, y = m / pitch_;
  const ptrdiff_t first_x = std::max<ptrdiff_t>(0, x - window_px_);
  const ptrdiff_t end_x = std::min(width_, x + window_px_ + 1);
  const ptrdiff_t end_y = std::min(height_, y + window_px_ + 1);
  for (ptrdiff_t row = std::max<ptrdiff_t>(0, y - window_px_); row < end_y; ++row)
    rows->push_back({row * pitch_ + first_x, row * pitch_ + end_x});
}

template <typename Sample>
void NonLocalImage::StoreTile(ptrdiff_t begin, ptrdiff_t end, const std::vector<double>& totals,
                              Sample* filtered) const {
  for (ptrdiff_t p = begin; p < std::min(end, positions_); ++p) {
    const ptrdiff_t x = p % pitch_, y = p / pitch_;
    if (x >= width_) continue;
    // Patches whose centre is in the image.
    const auto reach = [](ptrdiff_t i, ptrdiff_t side) { return 1 + (i > 0) + (i + 1 < side); };
    const auto patches = static_cast<double>(reach(x, width_) * reach(y, height_));
    double sums[3];
    for (ptrdiff_t c = 0; c < planes_.channels; ++c)
      sums[c] = totals[static_cast<size_t>(c * (end - begin) + p - begin)];
    for (ptrdiff_t i = 0; i < 9; ++i) {  // the patch whose number i is this pixel
      const int32_t patch = patch_of_.origin()[p - (i / 3 - 1) * pitch_ - (i % 3 - 1)];
      if (patch < 0) continue;
      for (ptrdiff_t c = 0; c < planes_.channels; ++c)
        sums[c] += patches_[static_cast<size_t>(kMaxPatch * patch + 9 * c + i)];
    }
    for (ptrdiff_t c = 0; c < planes_.channels; ++c)
      Write(filtered, static_cast<size_t>((c * height_ + y) * width_ + x), sums[c] / patches);
  }
}

template <typename Sample>
void NonLocalImage::Filter(const Sample* guide, const Sample* value, const float* h,
                           const uint8_t* keys, ThreadPool* threads, Sample* filtered) {
  Fill(guide, value, h, keys);
  const auto tiles = static_cast<uint32_t>((positions_ + tile_ - 1) / tile_);
  const auto for_tiles = [&](auto body) {
    threads->ParallelFor(tiles, [&](uint32_t first, uint32_t last) {
      NonLocalScratch scratch;
      for (ptrdiff_t i = first; i < last; ++i) {
        const ptrdiff_t begin = i * tile_;
        const ptrdiff_t end = std::min(
            begin + tile_, (positions_ + kTileAlignment - 1) / kTileAlignment * kTileAlignment);
        body(begin, end, &scratch);
      }
    });
  };
  for_tiles([&](ptrdiff_t begin, ptrdiff_t end, NonLocalScratch* scratch) {
    SumWeights(planes_, shifts_, begin, end, scratch);
  });
  FilterFarQueries(threads);
  for_tiles([&](ptrdiff_t begin, ptrdiff_t end, NonLocalScratch* scratch) {
    SumValues(planes_, shifts_, begin, end, scratch);
    StoreTile(begin, end, scratch->totals, filtered);
  });
}

template <typename Sample>
void FilterImages(const jpegrt_non_local_options& options, const Sample* guide, const Sample* value,
                  const float* h, const uint8_t* keys, Sample* filtered) {
  ThreadPool threads(options.threads);
  NonLocalImage image(options);
  const size_t pixels = static_cast<size_t>(options.width) * options.height;
  const size_t samples = pixels * options.channels;
  for (uint32_t i = 0; i < options.images; ++i)
    image.Filter(guide + i * samples, value + i * samples, h ? h + i * pixels : nullptr,
                 keys ? keys + i * pixels : nullptr, &threads, filtered + i * samples);
}

}  // namespace

void NonLocal(const jpegrt_non_local_options& options, const void* guide, const void* value,
              const float* h, const uint8_t* keys, void* filtered) {
  if (options.dtype == JPEGRT_FLOAT16)
    FilterImages(options, static_cast<const Half*>(guide), static_cast<const Half*>(value), h, keys,
                 static_cast<Half*>(filtered));
  else
    FilterImages(options, static_cast<const float*>(guide), static_cast<const float*>(value), h,
                 keys, static_cast<float*>(filtered));
}

}  // namespace jpegrt
