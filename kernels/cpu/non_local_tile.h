// The loops of the non-local operator, over one tile of positions and one displacement at a time.
//
// Images lie in planes of `pitch` positions a row, of which the image's columns are the first; the
// others, and a row above and below, hold the replicated border. A position is 1-dimensional: pixel
// (x, y) is y * pitch + x. For one shift s, the pairs (m, m + s) of query and key have the squared
// distances |g(p) - g(p + s)|^2 summed over the 3x3 positions p around m: differences, so nothing
// cancels, and a box sum, so nine patches share each difference. What a pixel p gets of its nine
// patches is likewise z(p + s) times the box sum of the weights around p.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace jpegrt {

// What a tile's loops read. All point at position 0 and extend `slack` positions further on both
// sides of the image.
struct NonLocalPlanes {
  int channels;              // 1 or 3
  ptrdiff_t width;           // of the image
  ptrdiff_t pitch;           // positions from one row to the next, at least width + 2
  ptrdiff_t positions;       // height * pitch
  const float* guide[3];     // g
  const float* value[3];     // z
  const float* key_bias;     // 0 for keys, -infinity for masked keys and outside the image
  const float* logit_scale;  // -log2(e) / (h^2 + 1e-6); 0 outside the image
  float* max_logit;          // M: the largest logit (in bits) of the query's keys, or 0 if it is
                             // above kLeastMaxLogitInFloat; -FLT_MAX if there are none
  float* inverse_sum;        // 1 / S, S = sum of 2^(logit - M) over the keys; 0 outside, or if none
};

// Distances in float are exact to 6e-7 of themselves, so logits are wrong by that part of them: not
// by more than 4e-6 in the pairs that matter as long as the largest logit is above this (in bits).
// It is 0 unless the query's own key is masked. Queries below are filtered one by one, in double.
constexpr float kLeastMaxLogitInFloat = static_cast<float>(-8 * 1.4426950408889634);

// Shifts are taken in this many runs at a time: float sums within a run, double sums of runs.
constexpr int kShiftsInRun = 32;

constexpr ptrdiff_t kTileAlignment = 16;  // positions; a multiple of every variant's lanes

// Positions that a plane must extend beyond the image on each side.
ptrdiff_t NonLocalSlack(ptrdiff_t pitch);

// A tile's scratch memory, reused from tile to tile by one thread.
struct NonLocalScratch {
  std::vector<float> squares, columns, weights, weight_columns, sums;
  std::vector<double> totals;
};

// The shifts [first, last) between a query and its keys.
struct ShiftRun {
  ptrdiff_t first, last;
};

// Fills max_logit and inverse_sum of positions [begin, end), both multiples of kTileAlignment.
void SumWeights(const NonLocalPlanes& planes, const std::vector<ShiftRun>& shifts, ptrdiff_t begin,
                ptrdiff_t end, NonLocalScratch* scratch);

// Into totals[channel * (end - begin) + p - begin]: the sum over the nine patches around position p
// of their weighted values at p. Patches whose inverse_sum is 0 do not count.
void SumValues(const NonLocalPlanes& planes, const std::vector<ShiftRun>& shifts, ptrdiff_t begin,
               ptrdiff_t end, NonLocalScratch* scratch);

}  // namespace jpegrt
