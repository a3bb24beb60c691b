#pragma once
// The atoms of the runtime: first element of every message it understands. CAF 0.17 packs an atom into 64 bits, hence
// at most ten characters each.

#include <caf/atom.hpp>

// What an actor sends to a router (transport.hpp says with what else and what comes back).
CAF_ADD_ATOM(glocal, glocal::runtime, request_atom, "request")
CAF_ADD_ATOM(glocal, glocal::runtime, subscribe_peers_atom, "peers")
CAF_ADD_ATOM(glocal, glocal::runtime, subscribe_suspicion_atom, "suspicion")
CAF_ADD_ATOM(glocal, glocal::runtime, add_peer_atom, "addpeer")
CAF_ADD_ATOM(glocal, glocal::runtime, stats_atom, "stats")

// What a router sends to an actor.
CAF_ADD_ATOM(glocal, glocal::runtime, wire_request_atom, "wirereq")
CAF_ADD_ATOM(glocal, glocal::runtime, wire_cast_atom, "wirecast")
CAF_ADD_ATOM(glocal, glocal::runtime, peer_up_atom, "peerup")
CAF_ADD_ATOM(glocal, glocal::runtime, wire_casts_atom, "wirecasts")
CAF_ADD_ATOM(glocal, glocal::runtime, peer_down_atom, "peerdown")
CAF_ADD_ATOM(glocal, glocal::runtime, peer_suspect_atom, "suspect")
CAF_ADD_ATOM(glocal, glocal::runtime, peer_trusted_atom, "trusted")
CAF_ADD_ATOM(glocal, glocal::runtime, writable_atom, "writable")

// The lcore to the actor that drains its ring (drain_ring.hpp).
CAF_ADD_ATOM(glocal, glocal::runtime, wake_atom, "wake")

// To a supervisor (supervisor.hpp).
CAF_ADD_ATOM(glocal, glocal::runtime, start_child_atom, "startchild")
CAF_ADD_ATOM(glocal, glocal::runtime, stop_child_atom, "stopchild")

// Answered by every observed actor before its own behaviour sees it (observed.hpp).
CAF_ADD_ATOM(glocal, glocal::runtime, refresh_atom, "refresh")

// Actors' messages to themselves: time to look after what is due.
CAF_ADD_ATOM(glocal, glocal::runtime, tick_atom, "tick")
CAF_ADD_ATOM(glocal, glocal::runtime, sweep_atom, "sweep")
