#include "engine_files.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>

#include "json.h"
#include "module.h"
#include "sha256.h"

namespace jpegrt {
namespace {

namespace fs = std::filesystem;

constexpr double kSidecarFormat = 1;

// Where `jpegrt build` puts a model's engines.
fs::path Cache(const std::string& model) {
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  const char* const home = std::getenv("HOME");
  const fs::path base = cache && *cache ? fs::path(cache) : fs::path(home ? home : "") / ".cache";
  return base / "jpegrt" / "engines" / model;
}

std::vector<fs::path> Folders(const jpegrt_engine_request& request) {
  if (request.engines) return {request.engines};
  return {fs::path(request.folder) / "engines", Cache(request.model)};
}

std::optional<std::string> ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::string content{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad()) return std::nullopt;
  return content;
}

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// A sidecar's members, of those kinds that we read.
class Sidecar {
 public:
  // Throws Failure.
  Sidecar(const fs::path& engine, const std::string& cure)
      : path_(engine.string() + ".json"), cure_(cure) {
    const auto text = ReadFile(path_);
    if (!text) throw Failure(Unreadable("it is not there"));
    try {
      root_ = ParseJson(*text);
    } catch (const JsonError& error) {
      throw Failure(Unreadable(error.what()));
    }
    if (Number("format") != kSidecarFormat)
      throw Failure(path_ + " has another format than 1: upgrade jpegrt, or " + cure_);
  }

  std::string Text(const char* name) const {
    const Json* const found = root_.Find(name);
    if (!found || !found->is_string()) throw Failure(path_ + " lacks " + name + "; " + cure_);
    return found->text;
  }
  double Number(const char* name) const {
    const Json* const found = root_.Find(name);
    if (!found || !found->is_number()) throw Failure(path_ + " lacks " + name + "; " + cure_);
    return found->number;
  }

 private:
  std::string Unreadable(const std::string& why) const {
    return path_ + ", which says what the engine is, cannot be read (" + why + "); " + cure_;
  }

  const std::string path_, cure_;
  Json root_;
};

}  // namespace

EngineFiles::EngineFiles(const jpegrt_engine_request& request, EngineKind kind)
    : request_(request), kind_(std::move(kind)), folders_(Folders(request)) {
  std::string others;
  for (const fs::path& folder : folders_) {
    std::error_code ignored;  // a folder that cannot be read has none
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
      const std::string name = entry.path().filename().string();
      if (EndsWith(name, Suffix())) return;
      if (EndsWith(name, ".engine")) others = "; there is " + name;
    }
  }
  throw Failure(folders_.back().string() + " has no engine of " + request_.model + " in " +
                request_.precision + " for " + kind_.flavour + " " + kind_.version + " on " +
                kind_.target + others + ": run " + BuildCommand());
}

std::string EngineFiles::Suffix() const {
  return std::string(".") + request_.precision + "." + kind_.flavour + "-" + kind_.version + "." +
         kind_.target + ".engine";
}

fs::path EngineFiles::PathOf(const std::string& graph) const {
  fs::path path;
  for (const fs::path& folder : folders_) {
    path = folder / (graph + Suffix());
    std::error_code ignored;
    if (fs::exists(path, ignored)) break;
  }
  return path;
}

std::string EngineFiles::BuildCommand() const {
  return std::string("jpegrt build ") + request_.model + " --flavour " + kind_.flavour +
         " --target " + kind_.target + " --precision " + request_.precision +
         (request_.engines ? " -o " + folders_.front().string() : "");
}

std::vector<uint8_t> EngineFiles::Read(const std::string& graph) const {
  const fs::path path = PathOf(graph);
  const std::string name = path.string(), cure = "run " + BuildCommand();
  const auto content = ReadFile(path);
  if (!content) throw Failure(name + " cannot be read; " + cure);
  const Sidecar facts(path, cure);

  const std::string source = facts.Text("source");
  const char* const listed = request_.file_sha256(request_.bundle, source.c_str());
  if (facts.Text("model") != request_.model || !listed || listed != facts.Text("source_sha256"))
    throw Failure(name + " is stale: " + source + " of the model " + request_.model +
                  " is not what it was built from; " + cure);
  const std::string theirs =
      facts.Text("flavour") + " " + facts.Text("version") + " on " + facts.Text("target");
  const std::string ours = kind_.flavour + " " + kind_.version + " on " + kind_.target;
  if (theirs != ours)
    throw Failure(name + " was built for " + theirs + ", and this machine has " + ours + "; " +
                  cure);
  if (facts.Text("graph") != graph || facts.Text("precision") != request_.precision)
    throw Failure(name + " is of graph " + facts.Text("graph") + " in " + facts.Text("precision") +
                  ", and was renamed; " + cure);

  const auto bytes = static_cast<size_t>(facts.Number("engine_bytes"));
  if (content->size() != bytes)
    throw Failure(name + " has " + std::to_string(content->size()) + " bytes of " +
                  std::to_string(bytes) + "; " + cure);
  std::vector<uint8_t> engine(content->begin(), content->end());
  if (Sha256(engine.data(), engine.size()) != facts.Text("engine_sha256"))
    throw Failure(name + " was changed after it was built (its SHA-256 differs); " + cure);
  return engine;
}

}  // namespace jpegrt
