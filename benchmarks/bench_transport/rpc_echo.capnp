@0xc1f0d4a17be3925d;
# What bench_transport asks of capnp-rpc.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("glocal::bench::wire");

interface Echo {
  echo @0 (body :Data) -> (body :Data);
  put  @1 (body :Data);
}
