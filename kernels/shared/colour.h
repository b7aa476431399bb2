// Centred samples and levels into pixels.
#pragma once

#include <cstdint>

#include "host_device.h"

namespace jpegrt {

// `level` already has the 0.5 that makes truncation round half up; NaN is 0.
JPEGRT_SHARED int32_t TruncatedLevel(float level, float highest) {
  return static_cast<int32_t>(level > 0 ? (level < highest ? level : highest) : 0);
}

// ITU-T T.871 (JFIF), section 7, of a level and centred chroma.
JPEGRT_SHARED float RedLevel(float level, float cr) { return level + 1.402f * cr; }
JPEGRT_SHARED float GreenLevel(float level, float cb, float cr) {
  return level - 0.344136286f * cb - 0.714136286f * cr;
}
JPEGRT_SHARED float BlueLevel(float level, float cb) { return level + 1.772f * cb; }

JPEGRT_SHARED uint8_t ClampedLevel(int32_t level) {
  return static_cast<uint8_t>(level < 0 ? 0 : level > 255 ? 255 : level);
}

// The same in libjpeg's fixed point, 16 fractional bits, bit for bit; chroma is centred.
JPEGRT_SHARED uint8_t FixedRed(int32_t luma, int32_t cr) {
  return ClampedLevel(luma + ((91881 * cr + (1 << 15)) >> 16));
}
JPEGRT_SHARED uint8_t FixedGreen(int32_t luma, int32_t cb, int32_t cr) {
  return ClampedLevel(luma + ((-22554 * cb - 46802 * cr + (1 << 15)) >> 16));
}
JPEGRT_SHARED uint8_t FixedBlue(int32_t luma, int32_t cb) {
  return ClampedLevel(luma + ((116130 * cb + (1 << 15)) >> 16));
}

}  // namespace jpegrt
