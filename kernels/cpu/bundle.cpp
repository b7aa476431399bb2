#include "bundle.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

#include "error.h"
#include "external_tensors.h"
#include "sha256.h"

namespace jpegrt {
namespace {

constexpr size_t kMostOfManifest = size_t{1} << 20;

std::string_view View(const std::vector<uint8_t>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class FileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Throws FileError, which says why the file cannot be read.
std::vector<uint8_t> ReadFile(const std::string& path, size_t most) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) throw FileError(std::strerror(errno));
  std::vector<uint8_t> content;
  size_t size = 0;
  for (;;) {
    content.resize(content.empty() ? 1 << 16 : 2 * content.size());
    size += std::fread(content.data() + size, 1, content.size() - size, file.get());
    if (std::ferror(file.get())) throw FileError(std::strerror(errno));
    if (size > most) throw FileError("more than " + std::to_string(most) + " bytes");
    if (size < content.size()) break;
  }
  content.resize(size);
  return content;
}

std::string ReadManifest(const std::string& path) {
  try {
    const std::vector<uint8_t> content = ReadFile(path, kMostOfManifest);
    return {content.begin(), content.end()};
  } catch (const FileError& error) {
    throw Error(JPEGRT_ERR_BUNDLE,
                path + " cannot be read (" + error.what() + "); export the model again");
  }
}

}  // namespace

Bundle::Bundle(const std::string& folder) : folder_(folder + "/") {
  const std::string path = folder_ + kManifestName;
  manifest_ = ManifestFromJson(ReadManifest(path), path);
  for (const Manifest::Graph& graph : manifest_.graphs)
    graphs_.push_back({graph.name.c_str(), graph.components, graph.chroma_h, graph.chroma_v});
  model_ = {sizeof model_,         manifest_.cell_px,
            manifest_.input_scale, static_cast<uint32_t>(graphs_.size()),
            graphs_.data(),        manifest_.domain,
            manifest_.enlargement, manifest_.minimum_px,
            manifest_.multiple_px, manifest_.unfoldings,
            manifest_.window_px,   manifest_.receptive_field_px};
}

const std::string& Bundle::ChoosePrecision(const char* precision) const {
  const std::string wanted = precision ? precision : manifest_.default_precision;
  std::string known;
  for (const Manifest::Precision& candidate : manifest_.precisions) {
    if (candidate.name == wanted) return candidate.name;
    known += (known.empty() ? "" : ", ") + candidate.name;
  }
  throw Error(JPEGRT_ERR_INVALID_ARGUMENT, "model " + manifest_.model + " has no precision " +
                                               wanted + ": choose one of " + known);
}

std::vector<uint8_t> Bundle::ReadGraph(const std::string& graph,
                                       const std::string& precision) const {
  for (const Manifest::Precision& candidate : manifest_.precisions) {
    if (candidate.name != precision) continue;
    const auto file = candidate.files.find(graph);
    if (file == candidate.files.end()) break;
    const std::vector<uint8_t> content = ReadListed(file->second);
    std::vector<uint8_t> weights;
    if (!manifest_.weights.empty()) weights = ReadListed(manifest_.weights);
    try {
      return WithTensorsInside(View(content), manifest_.weights, View(weights));
    } catch (const GraphError& error) {
      throw Error(JPEGRT_ERR_BUNDLE, folder_ + file->second + " " + error.what() +
                                         "; export or install the model again");
    }
  }
  throw Error(JPEGRT_ERR_INVALID_ARGUMENT,
              "model " + manifest_.model + " has no graph " + graph + " in " + precision);
}

std::vector<uint8_t> Bundle::ReadListed(const std::string& file) const {
  const std::string path = folder_ + file;
  std::vector<uint8_t> content;
  try {
    content = ReadFile(path, kMostOfGraph);
  } catch (const FileError& error) {
    throw Error(JPEGRT_ERR_BUNDLE,
                path + ": " + error.what() + "; export or install the model again");
  }
  if (Sha256(content.data(), content.size()) != manifest_.sha256.at(file))
    throw Error(JPEGRT_ERR_BUNDLE, path + " is not the file that " + kManifestName +
                                       " lists (its SHA-256 differs); export or install the "
                                       "model again");
  return content;
}

}  // namespace jpegrt
