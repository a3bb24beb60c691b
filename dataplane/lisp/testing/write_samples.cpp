// lisp_samples FILE: the sample messages as a capture, for decoders of others to be held against ours.

#include "dataplane/capture/capture_file.hpp"
#include "dataplane/lisp/testing/sample_messages.hpp"
#include "dataplane/wire/testing/packet_builder.hpp"

#include <cstdio>

using namespace glocal;

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FILE\n", argv[0]);
    return 2;
  }
  auto file = dataplane::capture_writer::create(argv[1]);
  if (!file) {
    std::fprintf(stderr, "%s: %s\n", argv[1], file.error().c_str());
    return 1;
  }
  std::chrono::microseconds time{1'700'000'000'000'000};
  for (const auto& [name, message] : lisp::testing::sample_messages()) {
    file->write(dataplane::testing::packet_builder{}
                    .ip("10.0.3.2", "10.0.2.2")
                    .udp(lisp::control_port, lisp::control_port)
                    .payload(lisp::encode(message).value())
                    .build(),
                time);
    time += std::chrono::milliseconds{1};
    std::puts(name.c_str());
  }
  return 0;
}
