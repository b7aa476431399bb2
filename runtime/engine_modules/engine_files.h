// Engines that `jpegrt build` made, as files: found by name, and checked against their sidecars as
// runtime/jpegrt/runtime/engine_files.py does, before a vendor's library sees a byte of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "jpegrt.h"

namespace jpegrt {

// What an engine has to be for. flavour: "tensorrt", "lean" or "rtx"; version: the library's;
// target: the GPU's, as "sm86".
struct EngineKind {
  std::string flavour, version, target;
};

class EngineFiles {
 public:
  // Of the request's model and precision, in the folder of engines that it names, or else in the
  // bundle's and in the cache. Throws Failure if there is none of that kind.
  EngineFiles(const jpegrt_engine_request& request, EngineKind kind);

  std::filesystem::path PathOf(const std::string& graph) const;
  // Throws Failure if there is no such engine, or it is another's, stale, or not whole.
  std::vector<uint8_t> Read(const std::string& graph) const;
  // What builds these engines.
  std::string BuildCommand() const;

 private:
  std::string Suffix() const;

  const jpegrt_engine_request request_;
  const EngineKind kind_;
  const std::vector<std::filesystem::path> folders_;  // where to look, in this order
};

}  // namespace jpegrt
