// A session's options and model as callers of any version of the header give them.
#pragma once

#include "jpegrt.h"

namespace jpegrt {

// Of a header in which the struct ended earlier, the rest is 0; of NULL, all is. Throws Error if
// the size is none that a header had.
jpegrt_session_options CompleteOptions(const jpegrt_session_options* options);
jpegrt_model CompleteModel(const jpegrt_model& model);

}  // namespace jpegrt
