#include "manifest.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <set>

#include "error.h"
#include "json.h"

namespace jpegrt {
namespace {

// In alphabetical order, in which they are reported.
constexpr const char* kRequired[] = {
    "cell_px", "default_precision", "files", "graphs", "input_scale", "model", "precisions"};
constexpr const char* kGraphKeys[] = {"name", "components", "chroma_h", "chroma_v"};

// What is wrong with a manifest; completed into a sentence by ManifestFromJson.
class Invalid : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

void Require(bool is_so, const std::string& otherwise) {
  if (!is_so) throw Invalid(otherwise);
}

// The integer, or 0 for anything that is none or is not from 1 to `most`.
uint32_t IntegerUpTo(uint32_t most, const Json& value) {
  if (!value.is_number() || !value.is_integer) return 0;
  return value.number >= 1 && value.number <= most ? static_cast<uint32_t>(value.number) : 0;
}

// An integer that a manifest may leave out, which is then 0; `most` + 1 for anything else.
uint32_t AbsentUpTo(uint32_t most, const Json* value) {
  if (!value) return 0;
  const uint32_t integer = IntegerUpTo(most, *value);
  return integer > 0 ? integer : most + 1;
}

// An integer that a manifest may leave out, which is then 1; 0 for anything else.
uint32_t OptionalUpTo(uint32_t most, const Json* value) {
  return value ? IntegerUpTo(most, *value) : 1;
}

// Of a file in the bundle's own folder, whatever the system. Which characters beyond ASCII are
// letters is not asked: none of them separates folders.
bool IsPlainName(const Json& value) {
  if (!value.is_string() || value.text.empty()) return false;
  const auto is_word = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
  };
  return is_word(value.text[0]) && std::all_of(value.text.begin(), value.text.end(), [&](char c) {
           return is_word(c) || c == '.' || c == '-';
         });
}

Manifest::Graph GraphFromJson(const Json& graph, uint32_t cell_px) {
  constexpr size_t n_keys = sizeof kGraphKeys / sizeof *kGraphKeys;
  Require(graph.is_object() && graph.members.size() == n_keys &&
              std::all_of(kGraphKeys, kGraphKeys + n_keys,
                          [&](const char* key) { return graph.Find(key); }),
          "a graph's keys are wrong");
  const Json& name = *graph.Find("name");
  Require(IsPlainName(name), "a graph has no name");
  const uint32_t components = IntegerUpTo(3, *graph.Find("components"));
  Require(components == 1 || components == 3,
          "graph " + name.text + " has neither 1 nor 3 components");
  uint32_t factors[2];
  for (int i = 0; i < 2; ++i) {
    factors[i] = IntegerUpTo(cell_px, *graph.Find(i ? "chroma_v" : "chroma_h"));
    Require(factors[i] > 0 && cell_px % factors[i] == 0,
            "the chroma factors of graph " + name.text + " do not divide cell_px");
  }
  return {name.text, components, factors[0], factors[1]};
}

std::string ListedSha256(const Json& listed, const std::string& file) {
  const Json* facts = listed.Find(file);
  const Json* digits = facts ? facts->Find("sha256") : nullptr;
  Require(digits && digits->is_string(), "files lacks the sha256 of " + file);
  return digits->text;
}

Manifest::Precision PrecisionFromJson(const std::string& name, const Json& entry,
                                      const std::set<std::string>& graphs, const Json& listed,
                                      std::map<std::string, std::string>* sha256) {
  const Json none;
  const Json* files = entry.Find("files");
  if (!files || !files->is_object()) files = &none;
  Require(std::all_of(graphs.begin(), graphs.end(),
                      [&](const std::string& graph) { return files->Find(graph); }),
          "precision " + name + " lacks the file of a graph");
  Manifest::Precision precision = {name, {}};
  for (const auto& [graph, file] : files->members) {
    Require(IsPlainName(file), "precision " + name + " has a file without a plain name");
    precision.files[graph] = file.text;
    (*sha256)[file.text] = ListedSha256(listed, file.text);
  }
  return precision;
}

// What a model on pixels has beyond one on coefficients: all of it may be left out.
void CheckDomain(const Json& json, Manifest* manifest) {
  constexpr const char* kDomains[] = {"cells", "luma", "rgb", "spectral"};
  manifest->domain = JPEGRT_DOMAIN_CELLS;
  if (const Json* domain = json.Find("domain")) {
    const auto* end = std::end(kDomains);
    const auto* found = std::find_if(kDomains, end, [&](const char* name) {
      return domain->is_string() && domain->text == name;
    });
    Require(found != end, "domain is not cells, luma, rgb or spectral");
    manifest->domain = static_cast<jpegrt_domain>(found - kDomains);
  }
  manifest->enlargement = OptionalUpTo(4, json.Find("scale"));
  Require(manifest->enlargement > 0, "scale is not 1, 2, 3 or 4");
  const Json none, *rule = json.Find("size_rule");
  Require(!rule || rule->is_object(), "size_rule is no table");
  if (!rule) rule = &none;
  manifest->minimum_px = OptionalUpTo(4096, rule->Find("minimum_px"));
  Require(manifest->minimum_px > 0, "minimum_px is not from 1 to 4096");
  manifest->multiple_px = OptionalUpTo(1024, rule->Find("multiple_px"));
  Require(manifest->multiple_px > 0, "multiple_px is not from 1 to 1024");
  if (const Json* reach = rule->Find("receptive_field_px")) {
    const bool is_whole_image = reach->kind == Json::Kind::kNull;
    const bool is_px = reach->is_number() && reach->is_integer && reach->number >= 0;
    Require(is_whole_image || (is_px && reach->number <= 65535),
            "receptive_field_px is neither null nor from 0 to 65535");
    manifest->receptive_field_px = static_cast<uint32_t>(reach->number);
  }
  const bool on_cells = manifest->domain == JPEGRT_DOMAIN_CELLS;
  if (on_cells || manifest->domain == JPEGRT_DOMAIN_SPECTRAL)
    Require(manifest->enlargement == 1 && manifest->minimum_px == 1 && manifest->multiple_px == 1,
            "a model on cells or spectra has a scale or a size rule other than 1");
  Require(on_cells || manifest->cell_px == 1, "cell_px of a model that takes no cells is not 1");
}

// What an unfolded model has beyond one that is not.
void CheckUnfolding(const Json& json, Manifest* manifest) {
  manifest->unfoldings = AbsentUpTo(64, json.Find("unfoldings"));
  Require(manifest->unfoldings <= 64, "unfoldings is not from 1 to 64");
  manifest->window_px = AbsentUpTo(65535, json.Find("window_px"));
  Require(manifest->window_px <= 65535, "window_px is not from 1 to 65535");
  if (manifest->unfoldings > 0)
    Require(manifest->domain == JPEGRT_DOMAIN_RGB, "an unfolded model's domain is not rgb");
  else
    Require(manifest->window_px == 0, "a model that is not unfolded has a window_px");
}

void CheckUnfoldedGraphs(const Manifest& manifest) {
  std::set<std::string> names;
  for (const Manifest::Graph& graph : manifest.graphs)
    if (graph.components == 3) names.insert(graph.name);
  Require(manifest.graphs.size() == 4 &&
              names == std::set<std::string>{"arm", "arm_guide", "rem", "rem_guide"},
          "an unfolded model's graphs are not arm, arm_guide, rem and rem_guide");
}

// The graphs that the domain needs, and none beyond.
void CheckGraphs(const Manifest& manifest) {
  if (manifest.unfoldings > 0) return CheckUnfoldedGraphs(manifest);
  const auto count = [&](uint32_t components) {
    return std::count_if(
        manifest.graphs.begin(), manifest.graphs.end(),
        [&](const Manifest::Graph& graph) { return graph.components == components; });
  };
  if (manifest.domain == JPEGRT_DOMAIN_CELLS)
    Require(count(1) > 0, "no graph is grey");
  else if (manifest.domain != JPEGRT_DOMAIN_RGB)
    Require(count(1) == 1 && count(3) == 0, "a luma or spectral model's graphs are not one, grey");
  else
    Require(count(3) == 1 && count(1) <= 1, "an rgb model's graphs are not one, and one grey");
}

Manifest Checked(const Json& json) {
  Manifest manifest = {};
  Require(json.Find("model")->is_string(), "model is no name");
  manifest.model = json.Find("model")->text;

  manifest.cell_px = IntegerUpTo(8, *json.Find("cell_px"));
  Require(manifest.cell_px == 1 || manifest.cell_px == 2 || manifest.cell_px == 4 ||
              manifest.cell_px == 8,
          "cell_px is not 1, 2, 4 or 8");
  const Json& scale = *json.Find("input_scale");
  const bool fits = scale.is_number() && scale.number > std::numeric_limits<float>::min() &&
                    scale.number < std::numeric_limits<float>::max();
  Require(fits, "input_scale is not above 0");
  manifest.input_scale = static_cast<float>(scale.number);

  CheckDomain(json, &manifest);
  CheckUnfolding(json, &manifest);
  const Json& graphs = *json.Find("graphs");
  Require(graphs.is_array() && !graphs.items.empty(), "graphs is no list of graphs");
  std::set<std::string> names;
  for (const Json& item : graphs.items) {
    manifest.graphs.push_back(GraphFromJson(item, manifest.cell_px));
    names.insert(manifest.graphs.back().name);
  }
  CheckGraphs(manifest);
  Require(names.size() == manifest.graphs.size(), "two graphs share a name");

  const Json &precisions = *json.Find("precisions"), &listed = *json.Find("files");
  Require(precisions.is_object(), "precisions is no table");
  Require(listed.is_object(), "files is no table");
  for (const auto& [name, entry] : precisions.members)
    manifest.precisions.push_back(PrecisionFromJson(name, entry, names, listed, &manifest.sha256));
  if (const Json* weights = json.Find("weights")) {
    Require(IsPlainName(*weights), "weights is no file with a plain name");
    manifest.weights = weights->text;
    manifest.sha256[weights->text] = ListedSha256(listed, weights->text);
  }
  const Json& chosen = *json.Find("default_precision");
  Require(chosen.is_string() && precisions.Find(chosen.text),
          "default_precision is none of precisions");
  manifest.default_precision = chosen.text;
  return manifest;
}

// Of a format that is not ours.
std::string Shown(const Json* format) {
  return format && (format->is_string() || format->is_number()) ? format->text : "None";
}

}  // namespace

Manifest ManifestFromJson(std::string_view text, const std::string& path) {
  const auto refuse = [&path](const std::string& what) {
    return Error(JPEGRT_ERR_BUNDLE, path + " " + what);
  };
  Json json;
  try {
    json = ParseJson(text);
  } catch (const JsonError& error) {
    throw refuse(std::string("cannot be read (") + error.what() + "); export the model again");
  }
  const Json* format = json.Find("format");
  if (!format || !format->is_number() || (format->number != 1 && format->number != 2))
    throw refuse("has format " + Shown(format) +
                 ", this version of jpegrt reads 1 and 2: upgrade jpegrt, or export the model "
                 "again with this version");
  std::string missing;
  for (const char* key : kRequired)
    if (!json.Find(key)) missing += (missing.empty() ? "" : ", ") + std::string(key);
  if (!missing.empty()) throw refuse("lacks " + missing + "; export the model again");
  try {
    return Checked(json);
  } catch (const Invalid& error) {
    throw refuse(std::string("is not valid: ") + error.what() + "; export the model again");
  }
}

}  // namespace jpegrt
