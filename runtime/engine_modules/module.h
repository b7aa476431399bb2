// What engine modules have in common: how they fail, and that nothing is thrown across the C ABI.
#pragma once

#include <cstdio>
#include <stdexcept>
#include <string>

#include "jpegrt.h"

namespace jpegrt {

// Its text is the sentence that the caller gets.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A vendor's message spreads over lines.
inline std::string OneLine(const std::string& text) {
  std::string line;
  for (const char c : text) {
    const bool is_space = static_cast<unsigned char>(c) <= ' ';
    if (!is_space)
      line += c;
    else if (!line.empty() && line.back() != ' ')
      line += ' ';
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

template <typename Body>
bool Try(char* message, size_t message_size, const Body& body) noexcept {
  try {
    body();
    return true;
  } catch (const std::exception& error) {
    std::snprintf(message, message_size, "%s", error.what());
  } catch (...) {
    std::snprintf(message, message_size, "the engine failed");
  }
  return false;
}

template <typename Engine>
int RunEngine(void* user, const char* graph, const jpegrt_tensor* inputs, size_t n_inputs,
              const jpegrt_tensor* outputs, size_t n_outputs, void* stream, char* message,
              size_t message_size) {
  return !Try(message, message_size, [&] {
    static_cast<Engine*>(user)->Run(graph, inputs, n_inputs, outputs, n_outputs, stream);
  });
}

template <typename Engine>
void DestroyEngine(void* user) {
  delete static_cast<Engine*>(user);
}

// The body of jpegrt_engine_module_open. An Engine is made of the request.
template <typename Engine>
jpegrt_status OpenEngine(const jpegrt_engine_request* request, jpegrt_engine* engine, char* message,
                         size_t message_size) {
  const bool opened = Try(message, message_size, [&] {
    if (request->abi != JPEGRT_ENGINE_MODULE_ABI || request->struct_size != sizeof *request)
      throw Failure("this engine module is for another version of jpegrt: install both alike");
    *engine = {sizeof *engine, new Engine(*request), RunEngine<Engine>, DestroyEngine<Engine>};
  });
  return opened ? JPEGRT_OK : JPEGRT_ERR_ENGINE;
}

}  // namespace jpegrt
