// A bundle's manifest: read and checked, as runtime/jpegrt/runtime/bundle.py does.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "jpegrt.h"

namespace jpegrt {

inline constexpr char kManifestName[] = "manifest.json";

struct Manifest {
  struct Graph {
    std::string name;
    uint32_t components, chroma_h, chroma_v;
  };
  struct Precision {
    std::string name;
    std::map<std::string, std::string> files;  // graph -> file
  };

  std::string model;
  uint32_t cell_px;
  float input_scale;
  jpegrt_domain domain;
  uint32_t enlargement, minimum_px, multiple_px;
  uint32_t receptive_field_px;     // 0: the whole image
  uint32_t unfoldings, window_px;  // 0: not unfolded, no window
  std::vector<Graph> graphs;
  std::vector<Precision> precisions;  // as they are listed
  std::string default_precision;
  std::string weights;  // the file of what graphs share; empty if there is none
  std::map<std::string, std::string> sha256;  // of it, and of each file that a precision has
};

// Throws Error, JPEGRT_ERR_BUNDLE; `path` is for its sentence.
Manifest ManifestFromJson(std::string_view text, const std::string& path);

}  // namespace jpegrt
