#include "create_message.h"

#include <cstdio>

namespace jpegrt {
namespace {

// No std::string: it would have to be destroyed with the thread, which may outlive this library.
thread_local char message_of_thread[2048];

}  // namespace

void SetCreateMessage(const char* message) noexcept {
  std::snprintf(message_of_thread, sizeof message_of_thread, "%s", message);
  // One line, whatever names a manifest has.
  for (char* c = message_of_thread; *c; ++c)
    if (static_cast<unsigned char>(*c) < 0x20 || *c == 0x7F) *c = ' ';
}

const char* CreateMessage() noexcept { return message_of_thread; }

}  // namespace jpegrt
