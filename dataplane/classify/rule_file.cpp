#include "dataplane/classify/rule_file.hpp"

#include "base/hash.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace glocal::dataplane {
namespace {

using code = rule_file_error::code;

constexpr std::array<char, 8> magic{'G', 'L', 'O', 'C', 'R', 'U', 'L', 'E'};
constexpr std::uint32_t version = 1;
constexpr std::size_t chunk_bytes = 1 << 20;

struct file_header {
  std::array<char, 8> magic;
  std::uint32_t version, reserved;
  std::uint64_t rules, slots_v4, slots_v6, templates_v4, templates_v6, checksum;
};
static_assert(sizeof(file_header) == 64 && std::endian::native == std::endian::little);

std::uint64_t checksum_of(const file_header& header) noexcept {
  return hash_bytes(&header, offsetof(file_header, checksum));
}

/// Reads on and adds up.
class checked_source {
public:
  explicit checked_source(const byte_source& from) : from_{from} {}

  [[nodiscard]] bool read(void* into, std::size_t size) {
    auto* at = static_cast<std::byte*>(into);
    for (; size > 0;) {
      const auto part = std::min(size, chunk_bytes);
      if (!from_(at, part))
        return false;
      sum_ = hash_bytes(at, part, sum_);
      at += part;
      size -= part;
    }
    return true;
  }
  [[nodiscard]] std::uint64_t sum() const noexcept { return sum_; }

private:
  const byte_source& from_;
  std::uint64_t sum_ = 0;
};

rule_file_error damaged(const char* what) {
  return {code::damaged, std::string{"the file is damaged: "} + what};
}
rule_file_error no_memory() {
  return {code::out_of_memory, "there is not enough memory for the rules"};
}

/// What a file holds is laid out by these numbers.
struct layout {
  explicit layout(const file_header& of)
      : outcomes{sizeof of}, templates_v4{outcomes + of.rules * sizeof(rule_outcome)},
        templates_v6{templates_v4 + of.templates_v4 * sizeof(packed_v4)}, slots_v4{templates_v6 +
                                                                                   of.templates_v6 * sizeof(packed_v6)},
        slots_v6{slots_v4 + of.slots_v4 * sizeof(packed_v4)}, checksum{slots_v6 + of.slots_v6 * sizeof(packed_v6)},
        end{checksum + 8} {}

  std::uint64_t outcomes, templates_v4, templates_v6, slots_v4, slots_v6, checksum, end;
};

std::string reason() {
  return std::strerror(errno);
}

} // namespace

/// What reading and writing need of the insides of classifiers.
struct rule_file_access {
  template <std::size_t Words>
  static std::optional<rule_file_error> read_templates(checked_source& from, std::uint64_t count,
                                                       template_table<Words>& into) {
    for (std::uint64_t i = 0; i < count; ++i) {
      packed_words<Words> mask;
      if (!from.read(&mask, sizeof mask))
        return damaged("it ends early");
      const auto id = into.intern(mask);
      if (!id)
        return no_memory();
      if (*id != i)
        return damaged("two templates are the same");
    }
    return {};
  }

  /// Straight to where the builder reads them, then checked one by one.
  template <std::size_t Words>
  static std::optional<rule_file_error> read_slots(checked_source& from, const file_header& header, std::uint64_t count,
                                                   packed_rules<Words>& into, const template_table<Words>& templates) {
    std::int64_t last = -1;
    while (into.count < count) {
      const auto part = std::min<std::uint64_t>(count - into.count, chunk_bytes / sizeof(packed_words<Words>));
      if (!into.reserve(part))
        return no_memory();
      auto* begin = into.all().data() + into.count;
      if (!from.read(begin, part * sizeof *begin))
        return damaged("it ends early");
      for (std::uint64_t i = 0; i < part; ++i) {
        const auto word = begin[i].word[Words - 1];
        const auto id = payload::id(word);
        const auto template_id = payload::template_of(word);
        if (id >= header.rules || std::int64_t{id} <= last || template_id >= templates.size() ||
            word != payload::make(id, template_id, 0))
          return damaged("a rule's number or template is wrong");
        last = id;
        const auto& mask = templates.data()[template_id];
        const auto match = unpack<Words>(begin[i], mask);
        if (find_contradiction(match) || !belongs_to<Words>(match))
          return damaged("a rule contradicts itself");
        auto again = pack<Words>(match);
        again.value.word[Words - 1] = word;
        if (again.value != begin[i] || again.mask != mask)
          return damaged("a rule is not as rules are packed");
      }
      into.count += part;
    }
    return {};
  }

  static expected<forest_classifier::loader, rule_file_error> read(const byte_source& source,
                                                                   const classifier_options& options) {
    file_header header;
    if (!source(&header, sizeof header) || header.magic != magic)
      return unexpected{rule_file_error{code::not_a_rule_file, "this is no rule file"}};
    if (header.version != version)
      return unexpected{
          rule_file_error{code::other_version, "the file is of version " + std::to_string(header.version) +
                                                   "; this program reads version " + std::to_string(version)}};
    if (header.checksum != checksum_of(header))
      return unexpected{damaged("the header's checksum is wrong")};
    if (header.rules > max_rules || header.slots_v4 > header.rules || header.slots_v6 > header.rules ||
        header.templates_v4 > max_templates || header.templates_v6 > max_templates)
      return unexpected{rule_file_error{code::too_large, "the file has more rules than a classifier can have"}};
    forest_classifier::loader out{options};
    checked_source from{source};
    while (out.count_ < header.rules) {
      const auto part = std::min<std::uint64_t>(header.rules - out.count_, chunk_bytes / sizeof(rule_outcome));
      if (!out.reserve_outcomes(part))
        return unexpected{no_memory()};
      if (!from.read(out.outcomes_.data() + out.count_ * sizeof(rule_outcome), part * sizeof(rule_outcome)))
        return unexpected{damaged("it ends early")};
      out.count_ += part;
    }
    if (const auto error = read_templates(from, header.templates_v4, out.templates_v4_))
      return unexpected{*error};
    if (const auto error = read_templates(from, header.templates_v6, out.templates_v6_))
      return unexpected{*error};
    if (const auto error = read_slots(from, header, header.slots_v4, out.v4_, out.templates_v4_))
      return unexpected{*error};
    if (const auto error = read_slots(from, header, header.slots_v6, out.v6_, out.templates_v6_))
      return unexpected{*error};
    std::uint64_t sum = 0;
    if (!source(&sum, sizeof sum) || sum != from.sum())
      return unexpected{damaged("the checksum is wrong")};
    return out;
  }

  template <std::size_t Words, class Visit>
  static void each_packed(const forest<Words>& of, unsigned plane, Visit&& visit) {
    each_rule<Words>(of, of.root, [&](const packed_words<Words>& packed) {
      if ((packed.word[Words - 1] >> (payload::live_shift + plane) & 1) != 0)
        visit(packed);
    });
  }

  static expected<void, rule_file_error> write(const forest_classifier& rules, unsigned plane, std::size_t ids,
                                               const std::string& path) {
    // Which ids live, and how many before each: the copies of a rule are written to one place.
    std::vector<bool> v4(ids), v6(ids);
    each_packed(rules.v4_, plane, [&](const auto& packed) { v4[payload::id(packed.word[3])] = true; });
    each_packed(rules.v6_, plane, [&](const auto& packed) { v6[payload::id(packed.word[7])] = true; });
    file_header header{magic, version, 0, 0, 0, 0, rules.v4_.templates.size(), rules.v6_.templates.size(), 0};
    std::vector<std::uint32_t> number(ids), at_v4(ids), at_v6(ids);
    for (std::size_t id = 0; id < ids; ++id) {
      number[id] = static_cast<std::uint32_t>(header.rules);
      at_v4[id] = static_cast<std::uint32_t>(header.slots_v4);
      at_v6[id] = static_cast<std::uint32_t>(header.slots_v6);
      header.slots_v4 += v4[id] ? 1 : 0;
      header.slots_v6 += v6[id] ? 1 : 0;
      header.rules += v4[id] || v6[id] ? 1 : 0;
    }
    header.checksum = checksum_of(header);
    const layout places{header};

    const auto temporary = path + ".new";
    const int file = ::open(temporary.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    const auto failed = [&](const char* what) {
      const auto why = reason();
      if (file >= 0)
        ::close(file);
      ::unlink(temporary.c_str());
      return unexpected{rule_file_error{code::not_written, temporary + ": " + what + ": " + why}};
    };
    if (file < 0)
      return failed("can't be made");
    // Its blocks first: a full disk is an error here, and not a signal when a page of the mapping is written.
    if (const auto code = ::posix_fallocate(file, 0, static_cast<off_t>(places.end)); code != 0) {
      errno = code;
      return failed("no room");
    }
    auto* raw = ::mmap(nullptr, places.end, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (raw == MAP_FAILED)
      return failed("can't be mapped");
    auto* bytes = static_cast<std::byte*>(raw);
    std::memcpy(bytes, &header, sizeof header);
    for (std::size_t id = 0; id < ids; ++id)
      if (v4[id] || v6[id]) {
        const auto of = rules.outcome(static_cast<rule_id>(id));
        std::memcpy(bytes + places.outcomes + number[id] * sizeof of, &of, sizeof of);
      }
    const auto put = [&]<std::size_t Words>(const forest<Words>& of, std::uint64_t templates, std::uint64_t slots,
                                            const std::vector<std::uint32_t>& at) {
      if (of.templates.size() > 0)
        std::memcpy(bytes + templates, of.templates.data(), of.templates.size() * sizeof(packed_words<Words>));
      each_packed(of, plane, [&](packed_words<Words> packed) {
        auto& word = packed.word[Words - 1];
        const auto id = payload::id(word);
        word = payload::make(number[id], payload::template_of(word), 0);
        std::memcpy(bytes + slots + at[id] * sizeof packed, &packed, sizeof packed);
      });
    };
    put(rules.v4_, places.templates_v4, places.slots_v4, at_v4);
    put(rules.v6_, places.templates_v6, places.slots_v6, at_v6);
    std::size_t at = sizeof header;
    std::uint64_t total = 0;
    // Part by part as the reader reads.
    const auto add = [&](std::uint64_t size) {
      while (size > 0) {
        const auto part = std::min<std::uint64_t>(size, chunk_bytes);
        total = hash_bytes(bytes + at, part, total);
        at += part;
        size -= part;
      }
    };
    add(header.rules * sizeof(rule_outcome));
    for (std::uint64_t i = 0; i < header.templates_v4; ++i)
      add(sizeof(packed_v4));
    for (std::uint64_t i = 0; i < header.templates_v6; ++i)
      add(sizeof(packed_v6));
    add(header.slots_v4 * sizeof(packed_v4));
    add(header.slots_v6 * sizeof(packed_v6));
    std::memcpy(bytes + places.checksum, &total, sizeof total);
    const bool unmapped = ::munmap(raw, places.end) == 0;
    if (!unmapped || ::fsync(file) != 0)
      return failed("can't be written");
    if (::close(file) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
      const auto why = reason();
      ::unlink(temporary.c_str());
      return unexpected{rule_file_error{code::not_written, path + ": " + why}};
    }
    return {};
  }

  static expected<void, rule_file_error> write(const rule_table& rules, const std::string& path) {
    return write(*rules.forest_, static_cast<unsigned>(rules.generation() & 1), rules.next_id_, path);
  }
};

expected<forest_classifier::loader, rule_file_error> read_rules(const byte_source& from,
                                                                const classifier_options& options) {
  return rule_file_access::read(from, options);
}

expected<forest_classifier::loader, rule_file_error> load_rules(const std::string& path,
                                                                const classifier_options& options) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return unexpected{rule_file_error{code::not_read, path + ": " + reason()}};
  ::posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL);
  auto out = read_rules(
      [&](void* into, std::size_t size) {
        auto* at = static_cast<std::byte*>(into);
        while (size > 0) {
          const auto got = ::read(file, at, size);
          if (got < 0 && errno == EINTR)
            continue;
          if (got <= 0)
            return false;
          at += got;
          size -= static_cast<std::size_t>(got);
        }
        return true;
      },
      options);
  ::close(file);
  if (!out)
    return unexpected{rule_file_error{out.error().what, path + ": " + out.error().message}};
  return out;
}

expected<void, rule_file_error> save_rules(const rule_table& rules, const std::string& path) {
  return rule_file_access::write(rules, path);
}

expected<void, rule_file_error> save_rules(const forest_classifier& rules, const std::string& path) {
  return rule_file_access::write(rules, 0, rules.size(), path);
}

} // namespace glocal::dataplane
