#include "tiling.h"

#include <algorithm>

namespace jpegrt {
namespace {

uint32_t CeilDivide(uint32_t a, uint32_t b) { return a / b + (a % b > 0); }

}  // namespace

Tiling::Tiling(uint32_t length_px, const TilingRule& rule, uint32_t seen_px)
    : length_px_(length_px),
      unit_px_(rule.unit_px),
      units_(CeilDivide(length_px, rule.unit_px)),
      seen_(units_),
      overlap_(CeilDivide(rule.overlap_px, rule.unit_px)) {
  if (seen_px == 0) return;
  const uint32_t least = std::max(2 * overlap_ + 1, CeilDivide(rule.least_px, unit_px_));
  seen_ = std::min(units_, std::max(seen_px / unit_px_, least));
  if (seen_ < units_) pieces_ = CeilDivide(units_ - 2 * overlap_, seen_ - 2 * overlap_);
}

Piece Tiling::operator[](uint32_t index) const {
  if (pieces_ == 1) return {Pixels(0, units_), Pixels(0, units_)};
  const uint32_t step = seen_ - 2 * overlap_;
  const uint32_t first_seen = std::min(index * step, units_ - seen_);
  const uint32_t first = index == 0 ? 0 : index * step + overlap_;
  const uint32_t last = index + 1 == pieces_ ? units_ : (index + 1) * step + overlap_;
  return {Pixels(first_seen, first_seen + seen_), Pixels(first, last)};
}

Span Tiling::Pixels(uint32_t first_unit, uint32_t last_unit) const {
  return {first_unit * unit_px_, std::min(last_unit * unit_px_, length_px_)};
}

}  // namespace jpegrt
