// The sentence of a _create or _open that failed, which left no handle to keep it in: one for each
// thread.
#pragma once

#include <string>

#include "guard.h"

namespace jpegrt {

void SetCreateMessage(const char* message) noexcept;
const char* CreateMessage() noexcept;

// Guard for functions that make a handle.
template <typename Body>
jpegrt_status GuardCreate(const Body& body) noexcept {
  std::string message;
  const jpegrt_status status = Guard(&message, body);
  SetCreateMessage(message.c_str());
  return status;
}

}  // namespace jpegrt
