// A vendor's library, opened at run time, so that a module loads without it and says what to
// install. It stays in memory when it is closed: its threads and destructors do not survive being
// unmapped.
#pragma once

#include <dlfcn.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "module.h"

namespace jpegrt {

class VendorLibrary {
 public:
  // Opens the file `asked`, or what the environment variable names, or the first of `defaults` that
  // the system finds. vendor and stem, as in "ONNX Runtime" and "libonnxruntime", are for the
  // sentence. Throws Failure.
  VendorLibrary(const std::string& vendor, const std::string& stem, const char* asked,
                const char* variable, const std::vector<std::string>& defaults) {
    const char* const named = std::getenv(variable);
    if (!asked && named && *named) asked = named;
    std::string errors;
    for (const std::string& path : asked ? std::vector<std::string>{asked} : defaults) {
      handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
      path_ = path;
      if (handle_) return;
      errors += (errors.empty() ? "" : "; ") + std::string(dlerror());
    }
    throw Failure(vendor + " cannot be opened (" + errors + "): install it, and name its " + stem +
                  " in " + variable + " if it is not where the system looks for libraries");
  }
  ~VendorLibrary() { dlclose(handle_); }
  VendorLibrary(const VendorLibrary&) = delete;
  VendorLibrary& operator=(const VendorLibrary&) = delete;

  const std::string& path() const { return path_; }

  // nullptr if it exports no such thing.
  template <typename Function>
  Function* Find(const char* name) const {
    return reinterpret_cast<Function*>(dlsym(handle_, name));
  }

 private:
  void* handle_ = nullptr;
  std::string path_;
};

}  // namespace jpegrt
