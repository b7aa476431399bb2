// Fuzz target: any bytes as a bundle's manifest. Refused with a sentence, or what comes out is what
// the session and the bundle's reader trust.

#include <cmath>
#include <cstdlib>
#include <set>
#include <string>

#include "error.h"
#include "manifest.h"

namespace {

void Expect(bool is_so) {
  if (!is_so) std::abort();
}

bool LeavesTheFolder(const std::string& file) {
  return file.empty() || file[0] == '.' || file.find_first_of("/\\:\n") != file.npos ||
         file.find('\0') != file.npos;
}

void CheckTrusted(const jpegrt::Manifest& manifest) {
  const uint32_t r = manifest.cell_px;
  Expect(r == 1 || r == 2 || r == 4 || r == 8);
  Expect(std::isfinite(manifest.input_scale) && manifest.input_scale > 0);
  std::set<std::string> names;
  const bool takes_cells = manifest.domain == JPEGRT_DOMAIN_CELLS;
  const bool is_spectral = manifest.domain == JPEGRT_DOMAIN_SPECTRAL;
  const bool takes_pixels =
      manifest.domain == JPEGRT_DOMAIN_LUMA || manifest.domain == JPEGRT_DOMAIN_RGB;
  Expect(takes_cells || is_spectral || takes_pixels);
  Expect(manifest.enlargement >= 1 && manifest.enlargement <= (takes_pixels ? 4u : 1u));
  Expect(manifest.minimum_px >= 1 && manifest.minimum_px <= (takes_pixels ? 4096u : 1u));
  Expect(manifest.multiple_px >= 1 && manifest.multiple_px <= (takes_pixels ? 1024u : 1u));
  Expect(manifest.receptive_field_px <= 65535);
  Expect(takes_cells || r == 1);
  Expect(manifest.unfoldings <= 64 && manifest.window_px <= 65535);
  Expect(manifest.unfoldings == 0 ||
         (manifest.domain == JPEGRT_DOMAIN_RGB && manifest.graphs.size() == 4));
  Expect(!is_spectral || manifest.graphs.size() == 1);
  const uint32_t needed = manifest.domain == JPEGRT_DOMAIN_RGB ? 3 : 1;
  bool has_needed = false;
  for (const jpegrt::Manifest::Graph& graph : manifest.graphs) {
    Expect(graph.components == 1 || graph.components == 3);
    Expect(graph.chroma_h > 0 && r % graph.chroma_h == 0);
    Expect(graph.chroma_v > 0 && r % graph.chroma_v == 0);
    Expect(names.insert(graph.name).second);
    has_needed |= graph.components == needed;
  }
  Expect(has_needed);
  bool has_default = false;
  for (const jpegrt::Manifest::Precision& precision : manifest.precisions) {
    has_default |= precision.name == manifest.default_precision;
    for (const std::string& name : names) Expect(precision.files.count(name));
    for (const auto& [graph, file] : precision.files) {
      Expect(!LeavesTheFolder(file));
      Expect(manifest.sha256.count(file));
    }
  }
  Expect(has_default);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string text(bytes, bytes + size);
  try {
    CheckTrusted(jpegrt::ManifestFromJson(text, "manifest.json"));
  } catch (const jpegrt::Error& error) {
    Expect(error.status() == JPEGRT_ERR_BUNDLE);
    Expect(std::string(error.what()).rfind("manifest.json ", 0) == 0);
  }
  return 0;
}
