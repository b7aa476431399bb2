#include "external_tensors.h"

#include <algorithm>

namespace jpegrt {
namespace {

using Bytes = std::vector<uint8_t>;

// Of protobuf; its groups are none of ONNX's.
enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kDelimited = 2, kFixed32 = 5 };

// Those of ONNX's messages that tensors are in.
enum class Message { kModel, kTraining, kFunction, kGraph, kNode, kAttribute, kSparse, kTensor };

constexpr struct {
  Message parent;
  uint32_t field;
  Message child;
} kChildren[] = {
    {Message::kModel, 7, Message::kGraph},         {Message::kModel, 20, Message::kTraining},
    {Message::kModel, 25, Message::kFunction},     {Message::kTraining, 1, Message::kGraph},
    {Message::kTraining, 2, Message::kGraph},      {Message::kFunction, 7, Message::kNode},
    {Message::kFunction, 11, Message::kAttribute}, {Message::kGraph, 1, Message::kNode},
    {Message::kGraph, 5, Message::kTensor},        {Message::kGraph, 15, Message::kSparse},
    {Message::kNode, 5, Message::kAttribute},      {Message::kAttribute, 5, Message::kTensor},
    {Message::kAttribute, 6, Message::kGraph},     {Message::kAttribute, 10, Message::kTensor},
    {Message::kAttribute, 11, Message::kGraph},    {Message::kAttribute, 22, Message::kSparse},
    {Message::kAttribute, 23, Message::kSparse},   {Message::kSparse, 1, Message::kTensor},
    {Message::kSparse, 2, Message::kTensor},
};

// Fields of a tensor, and of an entry of its external data.
constexpr uint32_t kRawData = 9, kExternalData = 13, kDataLocation = 14;
constexpr uint32_t kKey = 1, kValue = 2;

constexpr int kMostNested = 64;

[[noreturn]] void RefuseSyntax() { throw GraphError("is not ONNX"); }
[[noreturn]] void RefuseTensor() {
  throw GraphError("has a tensor that is not in the bundle's weights");
}

struct Field {
  uint32_t number, wire_type;
  uint64_t value;            // of a varint
  std::string_view content;  // of what is delimited
  std::string_view whole;    // with its tag
};

// A message's fields, one after another.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}

  // Throws GraphError.
  bool Next(Field* field) {
    if (rest_.empty()) return false;
    const std::string_view begin = rest_;
    const uint64_t tag = Varint();
    *field = {static_cast<uint32_t>(tag >> 3), static_cast<uint32_t>(tag & 7), 0, {}, {}};
    if (tag >> 32 || !field->number) RefuseSyntax();
    switch (field->wire_type) {
      case kVarint:
        field->value = Varint();
        break;
      case kFixed64:
        Take(8);
        break;
      case kDelimited:
        field->content = Take(Varint());
        break;
      case kFixed32:
        Take(4);
        break;
      default:
        RefuseSyntax();
    }
    field->whole = begin.substr(0, begin.size() - rest_.size());
    return true;
  }

 private:
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      const auto byte = static_cast<uint8_t>(Take(1)[0]);
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    RefuseSyntax();
  }

  std::string_view Take(uint64_t size) {
    if (size > rest_.size()) RefuseSyntax();
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view rest_;
};

void Append(std::string_view bytes, Bytes* out) {
  out->insert(out->end(), bytes.begin(), bytes.end());
}

void AppendVarint(uint64_t value, Bytes* out) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<uint8_t>(value | 0x80));
  out->push_back(static_cast<uint8_t>(value));
}

void AppendDelimited(uint32_t number, std::string_view content, Bytes* out) {
  AppendVarint(number << 3 | kDelimited, out);
  AppendVarint(content.size(), out);
  Append(content, out);
}

class Restoring {
 public:
  Restoring(std::string_view name, std::string_view weights) : name_(name), weights_(weights) {}

  void Copy(Message kind, std::string_view message, int depth, Bytes* out) {
    if (kind == Message::kTensor) return CopyTensor(message, out);
    if (depth == kMostNested) RefuseSyntax();
    Fields fields(message);
    for (Field field; fields.Next(&field);) {
      const auto* child =
          std::find_if(std::begin(kChildren), std::end(kChildren), [&](const auto& candidate) {
            return candidate.parent == kind && candidate.field == field.number &&
                   field.wire_type == kDelimited;
          });
      if (child == std::end(kChildren)) {
        Append(field.whole, out);
        continue;
      }
      Bytes copied;
      Copy(child->child, field.content, depth + 1, &copied);
      AppendDelimited(field.number, {reinterpret_cast<const char*>(copied.data()), copied.size()},
                      out);
    }
  }

 private:
  struct Place {
    std::string_view location, offset, length;
  };

  void CopyTensor(std::string_view tensor, Bytes* out) {
    Place place;
    bool is_external = false, has_raw_data = false;
    Fields fields(tensor);
    for (Field field; fields.Next(&field);) {
      const bool is_delimited = field.wire_type == kDelimited;
      if (field.number == kExternalData && is_delimited) {
        is_external = true;
        AddEntry(field.content, &place);
      } else if (field.number == kDataLocation && field.wire_type == kVarint && field.value) {
        is_external = true;
      } else {
        has_raw_data |= field.number == kRawData && is_delimited;
        Append(field.whole, out);
      }
    }
    if (!is_external) return;
    if (has_raw_data || name_.empty() || place.location != name_) RefuseTensor();
    const size_t offset = Number(place.offset), length = Number(place.length);
    if (offset > weights_.size() || length > weights_.size() - offset) RefuseTensor();
    if (length > kMostOfGraph - restored_) RefuseTensor();
    restored_ += length;
    AppendDelimited(kRawData, weights_.substr(offset, length), out);
  }

  static void AddEntry(std::string_view entry, Place* place) {
    std::string_view key, value;
    Fields fields(entry);
    for (Field field; fields.Next(&field);) {
      if (field.wire_type != kDelimited) continue;
      if (field.number == kKey) key = field.content;
      if (field.number == kValue) value = field.content;
    }
    if (key == "location") place->location = value;
    if (key == "offset") place->offset = value;
    if (key == "length") place->length = value;
  }

  static size_t Number(std::string_view digits) {
    if (digits.empty() || digits.size() > 18) RefuseTensor();
    size_t number = 0;
    for (const char digit : digits) {
      if (digit < '0' || digit > '9') RefuseTensor();
      number = 10 * number + static_cast<size_t>(digit - '0');
    }
    return number;
  }

  const std::string_view name_, weights_;
  size_t restored_ = 0;  // bytes: a hostile graph may name the same ones again and again
};

}  // namespace

std::vector<uint8_t> WithTensorsInside(std::string_view graph, std::string_view name,
                                       std::string_view weights) {
  Bytes whole;
  whole.reserve(graph.size());
  Restoring(name, weights).Copy(Message::kModel, graph, 0, &whole);
  return whole;
}

}  // namespace jpegrt
