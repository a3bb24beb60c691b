# What clients of the store and its nodes say to each other. Adapter and limits: store/codec.hpp; kinds of the frames:
# docs/formats.md. A request is answered with the frame kind of its reply under the request's correlation id; watch
# events and progress marks are one-way.
@0xc3b1f0a94d2e7761;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("glocal::store::wire");

struct Entry {
  table   @0 :UInt8;
  key     @1 :Data;
  value   @2 :Data;
  version @3 :UInt64;   # revision of the slot at the entry's last change
  lease   @4 :UInt64;   # 0: none
}

struct Operation {
  table @0 :UInt8;
  key   @1 :Data;
  lease @2 :UInt64;     # of the three that write
  union {
    get           @3 :Void;
    put           @4 :Data;
    putIfAbsent   @5 :Data;
    compareAndSet :group {
      expected @6 :UInt64;   # 0: must be absent
      value    @7 :Data;
    }
    erase         @8 :Void;
    eraseVersion  @9 :UInt64;
  }
}

struct OpResult {
  code  @0 :UInt8;
  entry @1 :Entry;      # null: none
}

struct BatchRequest {
  operations @0 :List(Operation);
}

# An operation on a slot that is named in `faults` has no result.
struct BatchReply {
  union {
    results @0 :List(OpResult);
    error   @1 :UInt8;
  }
  faults @2 :List(SlotFault);
}

struct SlotFault {
  slot    @0 :UInt16;
  error   @1 :UInt8;
  primary @2 :Data;     # the node to ask instead, when the one that was asked knows it
}

struct ScanRequest {
  table  @0 :UInt8;
  prefix @1 :Data;
  limit  @2 :UInt32;
  # Where the page before ended: slot, and the last key seen in it.
  slot   @3 :UInt16;
  after  @4 :Data;
}

struct ScanReply {
  union {
    page :group {
      entries @0 :List(Entry);
      more    @1 :Bool;
      slot    @2 :UInt16;
      after   @3 :Data;
    }
    error @4 :UInt8;
  }
}

struct LeaseRequest {
  lease     @0 :UInt64;
  ttlMillis @1 :UInt32;
  action    @2 :UInt8;
}

struct LeaseReply {
  error @0 :UInt8;              # 0: done
  slots @1 :List(UInt16);       # for which slots the node could say so: those it is primary of
}

struct SlotRevision {
  slot     @0 :UInt16;
  revision @1 :UInt64;
}

# Opens one stream over slots the node that is asked has a replica of.
struct WatchRequest {
  subscription @0 :UInt64;               # chosen by the client, never reused on one connection
  table        @1 :UInt8;
  prefix       @2 :Data;
  resume       @3 :List(SlotRevision);   # what the client has; slots not named here start with a snapshot
  slots        @4 :List(UInt16);         # which
}

struct WatchCancel {
  subscription @0 :UInt64;
}

struct WatchReply {
  error   @0 :UInt8;                     # 0: the stream runs
  refused @1 :List(UInt16);              # unavailable because of these slots, which the node can't serve now
}

struct WatchRecord {
  slot     @0 :UInt16;
  revision @1 :UInt64;
  kind     @2 :UInt8;
  # put and snapshot entries carry it whole, erase only table and key.
  entry    @3 :Entry;
}

struct WatchEvents {
  subscription @0 :UInt64;
  sequence     @1 :UInt64;               # 1, 2, 3, … per subscription: a hole means loss
  records      @2 :List(WatchRecord);
}

# One per pair of nodes and second while the client watches anything: proves that silence means "no change".
struct WatchProgress {
  struct Stream {
    subscription @0 :UInt64;
    sequence     @1 :UInt64;             # last one sent
  }
  streams @0 :List(Stream);
}

# Where the copies of slots should be: the one row of the table `placement`. Nodes are named by their place in `nodes`.
struct Placement {
  nodes   @0 :List(Data);
  drained @1 :List(UInt16);
  evening @2 :Bool;
  slots   @3 :List(List(UInt16));
  moves   @4 :List(Move);

  struct Move {
    slot @0 :UInt16;
    from @1 :List(UInt16);
  }
}
