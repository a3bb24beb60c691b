#pragma once
// The names under which the store's actors are registered in their node's directory, and their actor atoms.

#include <caf/atom.hpp>

#include <string_view>

namespace glocal::actors {

/// Entry point of a store node: takes all frames of store::frame_kind.
inline constexpr std::string_view store_node_name = "store";
/// The embedded configuration register, on the first of the store nodes.
inline constexpr std::string_view register_server_name = "store/embedded-register";
/// Of a store node: the decision where slots should be.
inline constexpr std::string_view placement_name = "store/placement";
/// The store client of a node: where watch events and progress marks are sent.
inline constexpr std::string_view store_client_name = "store/client";
/// The cache in front of it.
inline constexpr std::string_view store_cache_name = "store/cache";

} // namespace glocal::actors

// An actor's message to itself: everything that came in one go has come, send it on.
CAF_ADD_ATOM(glocal, glocal::actors, flush_atom, "flush")
// A placement actor's to itself: look whether there is something to decide.
CAF_ADD_ATOM(glocal, glocal::actors, plan_atom, "plan")
// A store node's to itself: time passes for its replicas.
CAF_ADD_ATOM(glocal, glocal::actors, replicas_tick_atom, "replTick")
