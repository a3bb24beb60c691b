// Hostile answers of an etcd: nothing may crash, and what is accepted is a view that encodes to itself.

#include "store/etcd/etcd_codec.hpp"
#include "store/etcd/row_codec.hpp"

#include <cstdlib>

using namespace glocal::store;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view in{reinterpret_cast<const char*>(data), size};
  if (const auto view = etcd::decode_view(in))
    if (etcd::decode_view(etcd::encode_view(*view, "w")) != view)
      std::abort();
  static const etcd::row_space space{"lab"};
  static const batch operations{put_op{table::paths, "p", "v"}, erase_op{table::paths, "q", 3}};
  // As it comes, and as the inside of an honest frame.
  const auto framed = R"({"header":{"cluster_id":"7","revision":"9"},)" + std::string{in} + "}";
  for (const std::string_view text : {in, std::string_view{framed}}) {
    (void)etcd::decode_read(text, "/glocal/lab/register/3");
    (void)etcd::decode_set(text, "/glocal/lab/register/3", 3, R"({"epoch":1})");
    (void)etcd::decode_watch(text, "/glocal/lab/register/");
    const auto result = R"({"result":)" + std::string{text} + "}";
    (void)etcd::decode_watch(result, "/glocal/lab/register/");
    if (const auto read = etcd::decode_txn(text, space, operations); read && read->value.size() != operations.size())
      std::abort();
    if (const auto found = etcd::decode_range(text, space, {table::paths, "a", "", 3, 0});
        found && found->value.rows.size() > 3)
      std::abort();
    for (const auto& line : {std::string{text}, result})
      if (auto heard = etcd::decode_changes(line))
        for (auto& change : heard->value.changes)
          (void)etcd::event_of(std::move(change), space, {2, table::paths, "", 1});
    (void)etcd::decode_keepalive(result, 7);
    (void)etcd::fault_of(text);
  }
  return 0;
}
