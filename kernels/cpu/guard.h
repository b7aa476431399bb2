// What every entry point of the C ABI does: exceptions become a status and a message.
#pragma once

#include <new>
#include <string>

#include "error.h"
#include "jpegrt.h"

namespace jpegrt {

// Runs `body`, and leaves why it failed in `message`, which may be null.
template <typename Body>
jpegrt_status Guard(std::string* message, const Body& body) noexcept {
  jpegrt_status status = JPEGRT_ERR_INTERNAL;
  try {
    if (message) message->clear();
    try {
      body();
      return JPEGRT_OK;
    } catch (const Error& error) {
      status = error.status();
      if (message) *message = error.what();
    } catch (const std::bad_alloc&) {
      status = JPEGRT_ERR_NO_MEMORY;
      if (message) *message = "out of memory";
    } catch (const std::exception& error) {
      if (message) *message = std::string("internal error: ") + error.what();
    }
  } catch (...) {  // no memory even for the message
  }
  return status;
}

[[noreturn]] inline void ThrowInvalidArgument() {
  throw Error(JPEGRT_ERR_INVALID_ARGUMENT,
              "invalid argument: a null pointer, or a struct_size of another version");
}

// For arguments that a handle refuses before anything is done.
template <typename Handle>
jpegrt_status Refuse(Handle* handle) noexcept {
  if (!handle) return JPEGRT_ERR_INVALID_ARGUMENT;
  return Guard(&handle->message, [] { ThrowInvalidArgument(); });
}

}  // namespace jpegrt
