#include "node/yaml_tree.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <istream>
#include <streambuf>
#include <unordered_map>

namespace glocal::node {
namespace {

/// Reads a string_view without copying it.
struct view_buffer : std::streambuf {
  explicit view_buffer(std::string_view text) {
    auto* begin = const_cast<char*>(text.data()); // the get area is only read
    setg(begin, begin, begin + text.size());
  }
};

/// Leaves the parser when the document breaks a bound of ours.
struct refused {
  YAML::Mark mark;
  std::string message, suggestion;
};

std::uint32_t from_one(int zero_based) {
  return zero_based < 0 ? 0 : static_cast<std::uint32_t>(zero_based) + 1;
}

} // namespace

const yaml_value* yaml_tree::find(const yaml_value& map, std::string_view key) const noexcept {
  if (map.what == yaml_value::kind::map)
    for (std::size_t i = 0; i + 1 < map.children.size(); i += 2)
      if (at(map.children[i]).what == yaml_value::kind::scalar && at(map.children[i]).text == key)
        return &at(map.children[i + 1]);
  return nullptr;
}

const yaml_value& yaml_tree::nearest(const yaml_path& path) const noexcept {
  const auto* here = &root();
  for (const auto& step : path) {
    const yaml_value* next = nullptr;
    if (const auto* key = std::get_if<std::string_view>(&step))
      next = find(*here, *key);
    else if (const auto index = std::get<std::size_t>(step);
             here->what == yaml_value::kind::sequence && index < here->children.size())
      next = &at(here->children[index]);
    if (next == nullptr)
      break;
    here = next;
  }
  return *here;
}

/// Turns the parser's events into values, counting what a walk will cost.
class tree_builder : public YAML::EventHandler {
public:
  yaml_tree take() { return std::move(tree_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0)
      throw refused{mark, "a second document starts here", "one cluster file holds one document: remove the '---'"};
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto index = open(yaml_value::kind::null, mark, anchor);
    // The parser's mark is the next token's, which may be lines away; the key is what a reader looks for.
    if (const auto* map = unfinished_.empty() ? nullptr : &tree_.values_[unfinished_.back()];
        map != nullptr && map->what == yaml_value::kind::map && map->children.size() % 2 == 1) {
      const auto& key = tree_.values_[map->children.back()];
      tree_.values_[index].line = key.line;
      tree_.values_[index].column = key.column;
    }
    finish(index);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    const auto index = open(yaml_value::kind::scalar, mark, anchor);
    tree_.values_[index].text = text;
    tree_.values_[index].quoted = tag == "!"; // yaml-cpp's mark for what is not plain
    finish(index);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    unfinished_.push_back(open(yaml_value::kind::sequence, mark, anchor));
  }
  void OnSequenceEnd() override { finish_innermost(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    unfinished_.push_back(open(yaml_value::kind::map, mark, anchor));
  }
  void OnMapEnd() override { finish_innermost(); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto target = anchors_.find(anchor);
    if (target == anchors_.end() || weights_[target->second] == 0)
      throw refused{mark, "this alias stands inside its own anchor", "write the value out"};
    add(target->second, mark);
  }

private:
  std::uint32_t open(yaml_value::kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    const auto index = static_cast<std::uint32_t>(tree_.values_.size());
    if (index >= max_file_values)
      too_many(mark);
    tree_.values_.push_back({kind, false, from_one(mark.line), from_one(mark.column), {}, {}});
    weights_.push_back(0);
    if (anchor != YAML::NullAnchor)
      anchors_[anchor] = index;
    return index;
  }

  void finish(std::uint32_t index) {
    const auto& value = tree_.values_[index];
    std::uint64_t weight = 1;
    for (const auto child : value.children)
      weight += weights_[child];
    YAML::Mark mark;
    mark.line = static_cast<int>(value.line) - 1;
    mark.column = static_cast<int>(value.column) - 1;
    if (weight > max_file_values)
      too_many(mark);
    weights_[index] = weight;
    add(index, mark);
  }

  void finish_innermost() {
    const auto index = unfinished_.back();
    unfinished_.pop_back();
    finish(index);
  }

  void add(std::uint32_t index, const YAML::Mark& mark) {
    if (unfinished_.empty()) {
      tree_.root_ = index;
      return;
    }
    auto& siblings = tree_.values_[unfinished_.back()].children;
    if (siblings.size() >= max_file_values)
      too_many(mark);
    siblings.push_back(index);
  }

  [[noreturn]] void too_many(const YAML::Mark& mark) const {
    throw refused{mark, "more than " + std::to_string(max_file_values) + " values, aliases expanded",
                  "split the cluster, or remove aliases of aliases"};
  }

  yaml_tree tree_;
  /// Values a walk meets below and at an index; 0 while it is unfinished.
  std::vector<std::uint64_t> weights_;
  std::vector<std::uint32_t> unfinished_;
  std::unordered_map<YAML::anchor_t, std::uint32_t> anchors_;
  std::size_t documents_ = 0;
};

expected<yaml_tree, diagnostic> parse_yaml(std::string_view text, const std::string& file) {
  if (text.size() > max_file_bytes)
    return unexpected{diagnostic{file, 0, 0, "larger than " + std::to_string(max_file_bytes >> 20) + " MiB",
                                 "split the cluster into several files"}};
  view_buffer buffer{text};
  std::istream stream{&buffer};
  tree_builder builder;
  try {
    YAML::Parser parser{stream};
    if (!parser.HandleNextDocument(builder))
      return unexpected{diagnostic{file, 1, 1, "the file is empty", "start with 'cluster: NAME'"}};
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const refused& why) {
    return unexpected{
        diagnostic{file, from_one(why.mark.line), from_one(why.mark.column), why.message, why.suggestion}};
  } catch (const YAML::Exception& failure) {
    return unexpected{diagnostic{file, from_one(failure.mark.line), from_one(failure.mark.column),
                                 "not YAML: " + failure.msg,
                                 "check indentation, brackets and quotes just before this place"}};
  }
  return builder.take();
}

} // namespace glocal::node
