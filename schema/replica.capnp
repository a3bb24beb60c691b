# What the replicas of a slot say to each other, and what is in the records of their log. Adapter and limits:
# store/replica_codec.hpp. All messages are one-way; an answer is a message of its own.
@0xe2a4c1d07b95f38a;

using Cxx = import "/capnp/c++.capnp";
using Store = import "store.capnp";
$Cxx.namespace("glocal::store::wire");

struct Member {
  node        @0 :Data;
  incarnation @1 :UInt64;   # a wiped disk is another
}

struct Position {
  epoch @0 :UInt64;
  index @1 :UInt64;
}

struct LeaseRecord {
  lease     @0 :UInt64;
  ttlMillis @1 :UInt32;     # 0: keeps what it has
  version   @2 :UInt64;     # what granted or last renewed it
}

struct LogEntry {
  epoch @0 :UInt64;
  index @1 :UInt64;
  union {
    noop  @2 :Void;
    batch :group {
      operations @3 :List(Store.Operation);
      leases     @4 :List(LeaseRecord);
    }
    renew @5 :List(LeaseRecord);
    endLease :group {
      lease   @6 :UInt64;
      version @7 :UInt64;   # 0: whatever it is
    }
  }
}

struct ReplicaMessage {
  slot  @0 :UInt16;
  from  @1 :Member;
  to    @2 :Member;
  epoch @3 :UInt64;
  union {
    append :group {
      prev    @4 :Position;
      entries @5 :List(LogEntry);
      commit  @6 :UInt64;
      confirm @7 :UInt64;
    }
    appendReply :group {
      match    @8 :UInt64;
      checked  @9 :UInt64;
      rejected @10 :Bool;
      confirm  @11 :UInt64;
    }
    snapshot :group {
      at       @12 :Position;
      revision @13 :UInt64;
      part     @14 :UInt32;
      last     @15 :Bool;
      entries  @16 :List(Store.Entry);
      leases   @17 :List(LeaseRecord);
    }
    snapshotReply :group {
      at   @18 :Position;
      next @19 :UInt32;
    }
    join     @20 :Void;
    takeOver @21 :Void;
    stale    @22 :Void;
  }
}

# What one node has for another, of all slots: one frame.
struct ReplicaMessages {
  messages @0 :List(ReplicaMessage);
}

# Who holds a slot.
struct View {
  epoch   @0 :UInt64;
  primary @1 :Member;
  members @2 :List(Member);
}

# To the embedded configuration register.
struct RegisterRequest {
  slot @0 :UInt16;
  union {
    get @1 :Void;
    set :group {
      expected @2 :UInt64;
      wanted   @3 :View;
    }
  }
}

struct RegisterReply {
  outcome @0 :UInt8;    # 0: done, or read; 1: conflict; 2: unknown
  version @1 :UInt64;
  view    @2 :View;
}

# Payload of a record of the segment log.
struct LogRecord {
  union {
    write :group {
      entries     @0 :List(LogEntry);
      truncates   @1 :Bool;
      truncateTo  @2 :UInt64;   # cut the slot's log after it first
    }
    install @3 :Position;       # the slot's log before it is void: the engine holds the state at it
  }
}
