// Hostile answers of an etcd: nothing may crash, and what is accepted is a view that encodes to itself.

#include "store/etcd/etcd_codec.hpp"

#include <cstdlib>

using namespace glocal::store;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view in{reinterpret_cast<const char*>(data), size};
  if (const auto view = etcd::decode_view(in))
    if (etcd::decode_view(etcd::encode_view(*view, "w")) != view)
      std::abort();
  // As it comes, and as the inside of an honest frame.
  const auto framed = R"({"header":{"cluster_id":"7","revision":"9"},)" + std::string{in} + "}";
  for (const std::string_view text : {in, std::string_view{framed}}) {
    (void)etcd::decode_read(text, "/glocal/lab/register/3");
    (void)etcd::decode_set(text, "/glocal/lab/register/3", 3, R"({"epoch":1})");
    (void)etcd::decode_watch(text, "/glocal/lab/register/");
    (void)etcd::decode_watch(R"({"result":)" + std::string{text} + "}", "/glocal/lab/register/");
  }
  return 0;
}
