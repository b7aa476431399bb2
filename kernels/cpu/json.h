// JSON (RFC 8259) into a tree. Strict, and a little stricter than the RFC: nesting and the members
// of an object have limits, and strings are UTF-8 that fits into a C string, so no lone surrogates
// and no NUL.
//
// Our own, because a manifest is all there is to read: a library would be one more package to
// install before jpegrt builds, everywhere.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace jpegrt {

struct Json {
  enum class Kind { kNull, kBoolean, kNumber, kString, kArray, kObject };

  Kind kind = Kind::kNull;
  bool boolean = false;
  double number = 0;
  bool is_integer = false;  // a number written without fraction and exponent
  std::string text;         // a string's, or a number as it is written
  std::vector<Json> items;
  std::vector<std::pair<std::string, Json>> members;  // of a repeated name the last value counts

  bool is_string() const { return kind == Kind::kString; }
  bool is_number() const { return kind == Kind::kNumber; }
  bool is_array() const { return kind == Kind::kArray; }
  bool is_object() const { return kind == Kind::kObject; }
  // nullptr if this is no object or has no such member.
  const Json* Find(std::string_view name) const;
};

class JsonError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Throws JsonError, which says what is wrong and at which byte.
Json ParseJson(std::string_view text);

}  // namespace jpegrt
