@0xf7efbbb8917b84c3;
# What routers say to each other before and around the messages of actors. Frames: runtime/frame.hpp; adapter:
# runtime/envelope_codec.hpp.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("glocal::runtime::wire");

struct Hello {
  # First frame of both sides, the dialling one first. Any other first frame ends the connection.
  protocolVersion @0 :UInt16;
  cluster         @1 :Text;
  node            @2 :Text;
  incarnation     @3 :UInt64;   # grows with each start of the node
  windowBytes     @4 :UInt64;   # what may be under way to the sender of this; see runtime/flow_control.hpp
}

struct HelloRefused {
  # Instead of a hello, or in answer to one; the connection then ends. The text is logged on both sides.
  reason @0 :Text;
}

struct ActorName {
  # What a slot of a connection's names stands for from now on.
  name @0 :Text;
}

struct Failure {
  # In place of a reply.
  code @0 :UInt16;   # runtime/errors.hpp, transport_errc
  text @1 :Text;
}
