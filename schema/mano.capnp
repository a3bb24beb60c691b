@0xb7c2b0c7d0a94f65;
# Central MANO to the VNF host of an edge: create and destroy instances.

using Cxx = import "/capnp/c++.capnp";
using Model = import "model.capnp";
$Cxx.namespace("glocal::schema");

struct InstantiateRequest {
  instance @0 :Model.VnfInstance;
  vnfClass @1 :Model.VnfClass;
}

struct TerminateRequest {
  instance @0 :Text;
}

struct LifecycleReply {
  union {
    # Where the instance can be reached: the hosting edge's RLOC.
    done @0 :Model.VnfInstance;
    # What went wrong, for the operator.
    failed @1 :Text;
  }
}
