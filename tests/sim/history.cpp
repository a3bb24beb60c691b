#include "tests/sim/history.hpp"

#include <algorithm>
#include <optional>
#include <unordered_set>

namespace glocal::sim {
namespace {

/// The key after `op`, if a key that holds `state` can answer as `op` was answered. An operation with unknown outcome
/// that is put into the order happened; what it answered nobody saw.
std::optional<value_id> step(const operation& op, value_id state) {
  using kind = operation::kind;
  switch (op.what) {
  case kind::get: return !op.known || op.found == state ? std::optional{state} : std::nullopt;
  case kind::put: return op.writes;
  case kind::put_if_absent: {
    const bool does = state == 0;
    if (op.known && (op.done != does || (!does && op.found != state)))
      return std::nullopt;
    return does ? op.writes : state;
  }
  case kind::compare_and_set: {
    const bool does = state == op.expects;
    if (op.known && (op.done != does || (!does && op.found != state)))
      return std::nullopt;
    return does ? op.writes : state;
  }
  case kind::erase: {
    const bool does = state != 0;
    if (op.known && op.done != does)
      return std::nullopt;
    return value_id{0};
  }
  }
  return std::nullopt;
}

class search {
public:
  search(const std::vector<operation>& operations, std::size_t budget) : budget_{budget} {
    for (const auto& op : operations)
      if (!op.refused &&
          (op.known || op.what != operation::kind::get)) // an unanswered read changed nothing and told nobody anything
        ops_.push_back(op);
    std::stable_sort(ops_.begin(), ops_.end(), [](const auto& a, const auto& b) { return a.invoked < b.invoked; });
    open_.assign(ops_.size(), true);
    left_ = static_cast<std::size_t>(std::count_if(ops_.begin(), ops_.end(), [](const auto& op) { return op.known; }));
  }

  verdict run() {
    const bool found = explore(0, 0);
    return found ? verdict::linearizable : seen_.size() >= budget_ ? verdict::undecided : verdict::violation;
  }

private:
  bool explore(std::size_t first, value_id state) {
    if (left_ == 0)
      return true;
    while (first < ops_.size() && !open_[first])
      ++first;
    if (seen_.size() >= budget_ || !seen_.insert(fingerprint(first, state)).second)
      return false;
    // Only an operation invoked before the first return of those that are left can be next.
    auto bound = duration::max();
    for (auto i = first; i < ops_.size() && ops_[i].invoked <= bound; ++i)
      if (open_[i] && ops_[i].known)
        bound = std::min(bound, ops_[i].returned);
    // One that can be next and changes nothing (a read, a conflict) may as well be next: an order that has it later is
    // still one with it moved to the front. So nothing else need be tried.
    for (auto i = first; i < ops_.size() && ops_[i].invoked <= bound; ++i)
      if (open_[i] && ops_[i].known && step(ops_[i], state) == state)
        return place(i, first, state);
    for (const bool known : {true, false}) // those that certainly happened first: fewer wrong turns
      for (auto i = first; i < ops_.size() && ops_[i].invoked <= bound; ++i) {
        if (!open_[i] || ops_[i].known != known)
          continue;
        const auto next = step(ops_[i], state);
        // An operation that changes nothing and was seen by nobody need not be placed.
        if (next && *next != state && place(i, first, *next))
          return true;
      }
    return false;
  }

  bool place(std::size_t which, std::size_t first, value_id state) {
    const bool known = ops_[which].known;
    open_[which] = false;
    left_ -= known;
    if (explore(first, state))
      return true;
    open_[which] = true;
    left_ += known;
    return false;
  }

  std::string fingerprint(std::size_t first, value_id state) const {
    std::string out(reinterpret_cast<const char*>(&state), sizeof state);
    out.append(reinterpret_cast<const char*>(&first), sizeof first);
    // Everything before `first` is done; after the last one done everything is open.
    auto end = ops_.size();
    while (end > first && open_[end - 1])
      --end;
    for (auto i = first; i < end; ++i)
      out += open_[i] ? '1' : '0';
    return out;
  }

  std::vector<operation> ops_;
  std::vector<bool> open_;
  std::size_t left_ = 0, budget_;
  std::unordered_set<std::string> seen_;
};

} // namespace

verdict check_linearizable(const std::vector<operation>& operations, std::size_t budget) {
  return search{operations, budget}.run();
}

std::vector<operation> first_violation(std::vector<operation> operations) {
  const auto until = [&](duration moment) {
    std::vector<operation> out;
    for (auto op : operations) {
      if (op.invoked > moment)
        continue;
      if (op.known && op.returned > moment)
        op.known = false;
      out.push_back(op);
    }
    return out;
  };
  std::vector<duration> moments;
  for (const auto& op : operations)
    if (op.known)
      moments.push_back(op.returned);
  std::sort(moments.begin(), moments.end());
  const auto at = std::partition_point(moments.begin(), moments.end(), [&](duration moment) {
    return check_linearizable(until(moment)) != verdict::violation;
  });
  return at == moments.end() ? operations : until(*at);
}

std::string describe(const std::vector<operation>& operations) {
  static constexpr const char* names[] = {"get", "put", "put_if_absent", "compare_and_set", "erase"};
  std::string out;
  for (const auto& op : operations) {
    out += "  " + std::to_string(op.invoked.count()) + " .. " +
           (op.known ? std::to_string(op.returned.count()) : std::string{"?"}) + " us, client " +
           std::to_string(op.client) + ": " + names[static_cast<int>(op.what)];
    if (op.what == operation::kind::compare_and_set)
      out += " " + std::to_string(op.expects) + " ->";
    if (op.writes != 0)
      out += " " + std::to_string(op.writes);
    out += op.refused                        ? ": refused"
           : !op.known                       ? ": unknown"
           : op.what == operation::kind::get ? ": " + std::to_string(op.found)
           : op.done                         ? ": ok"
                                             : ": no, found " + std::to_string(op.found);
    out += '\n';
  }
  return out;
}

} // namespace glocal::sim
