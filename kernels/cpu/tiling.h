// One axis of an image, cut so that pieces restored one by one make up what is restored whole.
#pragma once

#include <cstdint>

namespace jpegrt {

// Pixels, from `first` up to but without `last`.
struct Span {
  uint32_t first, last;
  uint32_t size() const { return last - first; }
  // The same pixels, counted from `origin` on.
  Span From(uint32_t origin) const { return {first - origin, last - origin}; }
};

struct Area {
  Span x, y;
  // Counted from another's corner.
  Area In(const Area& other) const { return {x.From(other.x.first), y.From(other.y.first)}; }
};

// What the network sees of the image, and what is kept of its result.
struct Piece {
  Span seen, kept;
};

struct TilingRule {
  uint32_t unit_px;     // pieces begin and end at multiples of it, or at the image's end
  uint32_t overlap_px;  // how far from its edges inside the image a piece's result is not kept
  uint32_t least_px;    // that the network takes
};

// All pieces of an image see equally much, so that an engine plans its memory once: those at the
// image's edges see more than their overlap, and keep what they see there.
class Tiling {
 public:
  // seen_px: what a piece sees, rounded down to units, but no less than the rule allows; 0: all.
  Tiling(uint32_t length_px, const TilingRule& rule, uint32_t seen_px);
  uint32_t size() const { return pieces_; }
  Piece operator[](uint32_t index) const;

 private:
  Span Pixels(uint32_t first_unit, uint32_t last_unit) const;

  uint32_t length_px_, unit_px_;
  uint32_t units_, seen_, overlap_, pieces_ = 1;  // of the image; of a piece
};

}  // namespace jpegrt
