#pragma once
// How an edge makes and unmakes VNF instances: the border between the VNF host actor and whatever runs functions.
//
// Threading: one thread at a time, but for `alive`. Calls may block for seconds: the VNF host makes them from a
// detached actor.

#include "actors/model/model.hpp"
#include "base/expected.hpp"
#include "dataplane/switch/port_config.hpp"

#include <string>

namespace glocal::actors {

/// The arms of a running instance, for the switch to open; their ids are the VNF host's to give.
struct started_vnf {
  dataplane::port_config in, out;
};

class vnf_driver {
public:
  virtual ~vnf_driver() = default;

  /// Makes the instance ready for traffic. What an earlier start left over under that name goes first; after a failure
  /// nothing is left. @error text for the operator.
  [[nodiscard]] virtual expected<started_vnf, std::string> start(const model::vnf_instance& instance,
                                                                 const model::vnf_class& vnf_class) = 0;
  /// An instance that is not there is fine.
  [[nodiscard]] virtual expected<void, std::string> stop(const std::string& instance) = 0;
  /// Any thread; does not block.
  [[nodiscard]] virtual bool alive(const std::string& instance) const = 0;
};

} // namespace glocal::actors
