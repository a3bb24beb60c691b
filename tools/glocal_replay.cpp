// replay: a capture through the pipeline of an edge, offline.

#include "base/log.hpp"
#include "node/replay/edge_replay.hpp"
#include "tools/glocal_cells.hpp"
#include "tools/glocal_clusters.hpp"
#include "tools/replay_view.hpp"
#include "tools/trace_view.hpp"

#include <iostream>
#include <optional>

namespace glocal::cli {
namespace {

using nlohmann::json;

/// Prints packets as their ends are known.
class replay_printer {
public:
  replay_printer(const replay_options& options, const node::cluster_config& config)
      : options_{options}, config_{config} {
    if (options_.format == output::json)
      std::cout << "{\"packets\": [";
  }

  void print(const node::replayed_packet& packet) {
    const auto view = view_of(packet, config_);
    summary_.add(packet, view);
    if (options_.only_summary)
      return;
    if (options_.format == output::json)
      std::cout << (first_ ? "\n" : ",\n") << dump(replayed_json(packet, view, config_), true);
    else {
      std::cout << replayed_line(packet, view);
      if (options_.with_steps && !packet.steps.empty())
        for (const auto& traced : traced_packets(replayed_json(packet, view, config_)["steps"]))
          std::cout << packet_tree(traced) << '\n';
    }
    first_ = false;
  }

  void finish() {
    if (options_.format == output::json)
      std::cout << (first_ ? "" : "\n") << "],\n\"summary\": " << dump(summary_.to_json(), true) << "}\n";
    else
      std::cout << (first_ ? "" : "\n") << summary_.text();
    std::cout.flush();
  }

  [[nodiscard]] replay_summary& summary() noexcept { return summary_; }

private:
  const replay_options& options_;
  const node::cluster_config& config_;
  replay_summary summary_;
  bool first_ = true;
};

} // namespace

int replay(const replay_options& options) {
  // What the actors log is about a cluster that is not there.
  start_logging(options.edge, "error");
  const auto config = node::load_cluster_file(options.file);
  if (!config) {
    for (const auto& wrong : config.error())
      std::cerr << to_string(wrong) << '\n';
    return invalid_config;
  }
  auto reader = dataplane::capture_reader::open(options.capture);
  if (!reader) {
    complain(options.capture + ": " + reader.error());
    return failed;
  }
  std::optional<dataplane::capture_writer> writer;
  if (!options.out.empty()) {
    auto created = dataplane::capture_writer::create(options.out);
    if (!created) {
      complain(options.out.string() + ": " + created.error());
      return failed;
    }
    writer.emplace(std::move(*created));
  }
  watch_signals();
  std::optional<replay_printer> printer;
  std::chrono::nanoseconds first_time{0};
  auto started = node::edge_replay::start(
      *config, {options.edge, options.port, options.vnfs_keep ? node::imagined_vnf::sink : node::imagined_vnf::wire},
      [&](const node::replayed_packet& packet) { printer->print(packet); },
      [&](const node::left_frame& left) {
        if (!printer)
          return; // the edge introduces itself before the first packet
        printer->summary().add_left(left.frame.size());
        if (writer)
          writer->write(left.frame, std::chrono::duration_cast<std::chrono::microseconds>(first_time + left.time));
      });
  if (!started) {
    complain(started.error());
    return usage;
  }
  printer.emplace(options, *config);
  bool damaged = false;
  for (std::size_t count = 0; count < options.count && !was_interrupted(); ++count) {
    const auto packet = reader->next();
    if (!packet) {
      complain(options.capture + ": damaged after " + std::to_string(count) + " packets: " + packet.error());
      damaged = true;
      break;
    }
    if (!packet->has_value())
      break;
    if (count == 0)
      first_time = (*packet)->time;
    (*started)->feed(**packet);
  }
  (*started)->finish();
  printer->finish();
  if (was_interrupted())
    return interrupted;
  return damaged ? partial : printer->summary().arrived() == 0 ? no_match : done;
}

} // namespace glocal::cli
