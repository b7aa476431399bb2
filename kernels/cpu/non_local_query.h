// The non-local operator for one query: slower, but exact however far its keys are.
#pragma once

#include <cstddef>
#include <vector>

#include "non_local_tile.h"

namespace jpegrt {

constexpr int kMaxPatch = 27;  // numbers in a patch: channel by channel, row by row

// Into `patch`: the filtered patch of query m, whose planes SumWeights has filled, from all keys in
// `rows`, half-open ranges of positions. A query without keys gets its own value.
void FilterPatch(const NonLocalPlanes& planes, const std::vector<ShiftRun>& rows, ptrdiff_t m,
                 float patch[kMaxPatch]);

}  // namespace jpegrt
