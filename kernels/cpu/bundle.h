// A bundle on disk: its manifest, and its graphs when they are asked for.
#pragma once

#include <string>
#include <vector>

#include "jpegrt.h"
#include "manifest.h"

namespace jpegrt {

class Bundle {
 public:
  // Throws Error.
  explicit Bundle(const std::string& folder);
  Bundle(const Bundle&) = delete;
  Bundle& operator=(const Bundle&) = delete;

  const std::string& folder() const { return folder_; }
  const Manifest& manifest() const { return manifest_; }
  const jpegrt_model& model() const { return model_; }

  // `precision`, or the default one for null. Throws Error if there is none such.
  const std::string& ChoosePrecision(const char* precision) const;

  // One graph, with the weights that it shares with others in it. Every file is compared with its
  // SHA-256. Throws Error.
  std::vector<uint8_t> ReadGraph(const std::string& graph, const std::string& precision) const;

 private:
  std::vector<uint8_t> ReadListed(const std::string& file) const;

  std::string folder_;
  Manifest manifest_;
  std::vector<jpegrt_graph> graphs_;
  jpegrt_model model_ = {};
};

}  // namespace jpegrt
