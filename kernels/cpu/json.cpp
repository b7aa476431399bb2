#include "json.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace jpegrt {
namespace {

constexpr int kMaxDepth = 64;
constexpr size_t kMaxMembers = 1024;  // of one object, because they are searched one by one

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

void AppendUtf8(uint32_t point, std::string* text) {
  const auto put = [text](uint32_t byte) { *text += static_cast<char>(byte); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0 | point >> 6);
    put(0x80 | (point & 63));
  } else if (point < 0x10000) {
    put(0xE0 | point >> 12);
    put(0x80 | (point >> 6 & 63));
    put(0x80 | (point & 63));
  } else {
    put(0xF0 | point >> 18);
    put(0x80 | (point >> 12 & 63));
    put(0x80 | (point >> 6 & 63));
    put(0x80 | (point & 63));
  }
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Json Document() {
    Json value = Value(0);
    SkipSpace();
    if (at_ != text_.size()) Fail("more than one value");
    return value;
  }

 private:
  [[noreturn]] void Fail(const char* what) const {
    throw JsonError(std::string(what) + " at byte " + std::to_string(at_));
  }

  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  bool Take(char expected) {
    if (at_ == text_.size() || text_[at_] != expected) return false;
    ++at_;
    return true;
  }

  void SkipSpace() {
    while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != text_.npos) ++at_;
  }

  Json Value(int depth) {
    if (depth > kMaxDepth) Fail("nested too deeply");
    SkipSpace();
    if (at_ == text_.size()) Fail("the text ends too early");
    Json value;
    switch (text_[at_]) {
      case '{':
        Object(depth, &value);
        break;
      case '[':
        Array(depth, &value);
        break;
      case '"':
        value.kind = Json::Kind::kString;
        value.text = String();
        break;
      case 't':
        Word("true");
        value.kind = Json::Kind::kBoolean;
        value.boolean = true;
        break;
      case 'f':
        Word("false");
        value.kind = Json::Kind::kBoolean;
        break;
      case 'n':
        Word("null");
        break;
      default:
        Number(&value);
    }
    return value;
  }

  void Word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) Fail("not a value");
    at_ += word.size();
  }

  void Object(int depth, Json* value) {
    value->kind = Json::Kind::kObject;
    ++at_;
    SkipSpace();
    if (Take('}')) return;
    do {
      SkipSpace();
      if (Peek() != '"') Fail("a member has no name");
      std::string name = String();
      SkipSpace();
      if (!Take(':')) Fail("no colon after a name");
      Json member = Value(depth + 1);
      const auto same = std::find_if(value->members.begin(), value->members.end(),
                                     [&](const auto& other) { return other.first == name; });
      if (same != value->members.end())
        same->second = std::move(member);
      else if (value->members.size() < kMaxMembers)
        value->members.emplace_back(std::move(name), std::move(member));
      else
        Fail("too many members");
      SkipSpace();
    } while (Take(','));
    if (!Take('}')) Fail("an object does not end");
  }

  void Array(int depth, Json* value) {
    value->kind = Json::Kind::kArray;
    ++at_;
    SkipSpace();
    if (Take(']')) return;
    do {
      value->items.push_back(Value(depth + 1));
      SkipSpace();
    } while (Take(','));
    if (!Take(']')) Fail("an array does not end");
  }

  void Number(Json* value) {
    const size_t first = at_;
    value->kind = Json::Kind::kNumber;
    value->is_integer = true;
    Take('-');
    if (!Take('0')) Digits();
    if (Take('.')) {
      value->is_integer = false;
      Digits();
    }
    if (Take('e') || Take('E')) {
      value->is_integer = false;
      if (!Take('+')) Take('-');
      Digits();
    }
    value->text = text_.substr(first, at_ - first);
    const char* const end = value->text.data() + value->text.size();
    // Not strtod, which follows the program's locale.
    const auto read = std::from_chars(value->text.data(), end, value->number);
    if (read.ec != std::errc() || read.ptr != end) Fail("a number is out of range");
  }

  void Digits() {
    if (!IsDigit(Peek())) Fail("not a value");
    while (IsDigit(Peek())) ++at_;
  }

  std::string String() {
    std::string text;
    ++at_;
    for (;;) {
      if (at_ == text_.size()) Fail("a string does not end");
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') {
        ++at_;
        return text;
      }
      if (c < 0x20) Fail("a control character in a string");
      if (c == '\\') {
        ++at_;
        Escape(&text);
      } else {
        Utf8(&text);
      }
    }
  }

  void Escape(std::string* text) {
    static constexpr std::string_view kNames = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
    const char c = Peek();
    const size_t index = at_ == text_.size() ? kNames.npos : kNames.find(c);
    if (index != kNames.npos) {
      ++at_;
      *text += kMeanings[index];
      return;
    }
    if (!Take('u')) Fail("an unknown escape");
    uint32_t point = FourHexDigits();
    if (point >= 0xD800 && point < 0xDC00 && text_.substr(at_, 2) == "\\u") {
      at_ += 2;
      const uint32_t low = FourHexDigits();
      if (low < 0xDC00 || low >= 0xE000) Fail("half a surrogate pair");
      point = 0x10000 + ((point - 0xD800) << 10 | (low - 0xDC00));
    }
    if (point >= 0xD800 && point < 0xE000) Fail("half a surrogate pair");
    if (point == 0) Fail("a NUL in a string");
    AppendUtf8(point, text);
  }

  uint32_t FourHexDigits() {
    uint32_t value = 0;
    if (text_.size() - at_ < 4) Fail("an unknown escape");
    const char* const first = text_.data() + at_;
    const auto read = std::from_chars(first, first + 4, value, 16);  // takes no sign, unsigned
    if (read.ptr != first + 4) Fail("an unknown escape");
    at_ += 4;
    return value;
  }

  // Copies one character, of one to four bytes (RFC 3629).
  void Utf8(std::string* text) {
    const auto byte = [this](size_t i) -> uint32_t {
      return at_ + i < text_.size() ? static_cast<unsigned char>(text_[at_ + i]) : 0;
    };
    const uint32_t first = byte(0);
    size_t length = 1;
    uint32_t point = first, smallest = 0;
    if (first >= 0xF0 && first < 0xF8) {
      length = 4, point = first & 7, smallest = 0x10000;
    } else if (first >= 0xE0 && first < 0xF0) {
      length = 3, point = first & 15, smallest = 0x800;
    } else if (first >= 0xC0 && first < 0xE0) {
      length = 2, point = first & 31, smallest = 0x80;
    } else if (first >= 0x80) {
      Fail("not UTF-8");
    }
    for (size_t i = 1; i < length; ++i) {
      if (byte(i) >> 6 != 2) Fail("not UTF-8");
      point = point << 6 | (byte(i) & 63);
    }
    if (point < smallest || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000))
      Fail("not UTF-8");
    text->append(text_, at_, length);
    at_ += length;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

const Json* Json::Find(std::string_view name) const {
  for (const auto& member : members)
    if (member.first == name) return &member.second;
  return nullptr;
}

Json ParseJson(std::string_view text) { return Parser(text).Document(); }

}  // namespace jpegrt
