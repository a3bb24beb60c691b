#include "actors/mano/mano_actor.hpp"

#include "actors/edge/vnf_host.hpp"
#include "actors/model/codec.hpp"
#include "actors/model/keys.hpp"
#include "base/log.hpp"

#include <algorithm>
#include <set>

namespace glocal::actors {
namespace {

/// Pause before what failed is tried again: store nodes and edges start at the same time as this actor.
constexpr std::chrono::milliseconds retry_pause{250};

const char* phase_name(int phase) {
  constexpr const char* names[] = {"wanted", "starting", "running"};
  return names[phase];
}

} // namespace

mano_actor::mano_actor(caf::actor_config& config, mano_settings settings, runtime::transport transport,
                       caf::actor store_client)
    : runtime::observed_actor{config, "mano", "mano"}, settings_{std::move(settings)},
      transport_{std::move(transport)}, store_{*this, std::move(store_client)} {
  for (const auto& instance : settings_.instances)
    wishes_.emplace(instance.name, wish{instance, phase::wanted, {}});
}

caf::behavior mano_actor::make_behavior() {
  runtime::subscribe_peers(this, transport_);
  publish_catalogue();
  ask_for_all();
  return caf::message_handler{
      [this](runtime::tick_atom) {
        if (!catalogue_published_)
          publish_catalogue();
        ask_for_all();
      },
      [this](runtime::peer_up_atom, const std::string& node) {
        // The node may have been restarted and lost its instances: what runs is confirmed, what does not is made.
        for (auto& [name, wanted] : wishes_)
          if (wanted.instance.node == node && wanted.phase == phase::running)
            ask_for(wanted);
      },
      [](runtime::peer_down_atom, const std::string&, const std::string&) {},
  }
      .or_else(store_.handler());
}

void mano_actor::publish_catalogue() {
  store::batch operations;
  for (const auto& vnf_class : settings_.classes)
    operations.push_back(
        store::put_op{store::table::catalogue, model::keys::vnf_class(vnf_class.name), model::encode(vnf_class), 0});
  for (const auto& service : settings_.services)
    operations.push_back(
        store::put_op{store::table::catalogue, model::keys::service(service.name), model::encode(service), 0});
  store_.execute(std::move(operations), [this](
                                            const expected<std::vector<store::op_result>, store::store_error>& done) {
    catalogue_published_ =
        done && std::all_of(done->begin(), done->end(), [](const store::op_result& result) { return result.ok(); });
    if (catalogue_published_) {
      spdlog::info("catalogue published: {} services, {} classes", settings_.services.size(), settings_.classes.size());
      return erase_unwished();
    }
    note_error("catalogue not published: " + std::string{done ? "refused" : store::name(done.error())});
    delayed_send(this, retry_pause, runtime::tick_atom_v);
  });
}

void mano_actor::erase_unwished() {
  store_.scan(store::table::catalogue, "", 0, "", [this](const expected<store::scan_page, store::store_error>& page) {
    if (!page)
      return note_error("catalogue not read back: " + std::string{store::name(page.error())});
    std::set<std::string> wished;
    for (const auto& vnf_class : settings_.classes)
      wished.insert(model::keys::vnf_class(vnf_class.name));
    for (const auto& service : settings_.services)
      wished.insert(model::keys::service(service.name));
    store::batch operations;
    for (const auto& entry : page->entries)
      if (!wished.contains(entry.key))
        operations.push_back(store::erase_op{store::table::catalogue, entry.key, entry.version});
    if (!operations.empty())
      store_.execute(std::move(operations), [](const auto&) {});
  });
}

void mano_actor::ask_for_all() {
  for (auto& [name, wanted] : wishes_)
    if (wanted.phase == phase::wanted)
      ask_for(wanted);
}

void mano_actor::ask_for(wish& wanted) {
  const auto vnf_class =
      std::find_if(settings_.classes.begin(), settings_.classes.end(),
                   [&](const model::vnf_class& one) { return one.name == wanted.instance.vnf_class; });
  if (vnf_class == settings_.classes.end()) {
    wanted.problem = "no class " + wanted.instance.vnf_class;
    return;
  }
  wanted.phase = phase::asking;
  const auto name = wanted.instance.name;
  auto order = runtime::make_message(
      mano_kind::instantiate, std::string_view{model::encode(model::instantiate_request{wanted.instance, *vnf_class})});
  runtime::request(this, transport_, {wanted.instance.node, edge_names::vnf_host(wanted.instance.node)},
                   std::move(order), instantiate_timeout)
      .then(
          [this, name](const runtime::wire_message& answer) {
            const auto reply = model::decode<model::lifecycle_reply>(answer.text());
            if (!reply || !reply->done)
              return registered(name, false, reply ? reply->failure : "the answer can't be read");
            store_.put(store::table::instances, model::keys::instance(name), model::encode(*reply->done), 0,
                       [this, name](const expected<store::op_result, store::store_error>& done) {
                         const bool ok = done && done->ok();
                         registered(name, ok, ok ? "" : "the store did not register it");
                       });
          },
          [this, name](const caf::error& error) { registered(name, false, runtime::describe(error)); });
}

void mano_actor::registered(const std::string& name, bool done, const std::string& problem) {
  auto& wanted = wishes_.at(name);
  wanted.phase = done ? phase::running : phase::wanted;
  wanted.problem = problem;
  if (done) {
    spdlog::info("instance {} runs at {}", name, wanted.instance.node);
    return;
  }
  note_error(name + ": " + problem);
  delayed_send(this, retry_pause, runtime::tick_atom_v);
}

runtime::state_entries mano_actor::state_summary() const {
  const auto running = std::count_if(wishes_.begin(), wishes_.end(),
                                     [](const auto& entry) { return entry.second.phase == phase::running; });
  const bool ready = catalogue_published_ && static_cast<std::size_t>(running) == wishes_.size();
  runtime::state_entries out{{"ready", ready ? "true" : "false"},
                             {"services", std::to_string(settings_.services.size())},
                             {"classes", std::to_string(settings_.classes.size())},
                             {"instances", std::to_string(running) + " of " + std::to_string(wishes_.size())}};
  for (const auto& [name, wanted] : wishes_)
    out.emplace_back("instance " + name, phase_name(static_cast<int>(wanted.phase)) +
                                             (wanted.problem.empty() ? "" : ": " + wanted.problem));
  return out;
}

} // namespace glocal::actors
