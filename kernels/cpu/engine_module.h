// Engines that shared objects make, for a bundle's graphs.
#pragma once

#include <memory>
#include <string>

#include "bundle.h"
#include "jpegrt.h"

namespace jpegrt {

// Opens the module (a path, or a name) and has it make an engine, which keeps the bundle. The
// options are those of jpegrt.h, with threads at least 1. Throws Error.
jpegrt_engine OpenEngine(const std::string& module, std::shared_ptr<const Bundle> bundle,
                         const jpegrt_engine_options& options);

}  // namespace jpegrt
