#pragma once
// Addresses on the wire: a 16-bit AFI and what it says. Private to this folder.

#include "dataplane/lisp/address.hpp"
#include "dataplane/lisp/wire.hpp"

namespace glocal::lisp {

/// Where an address stands, which decides what a peer's profile says about it.
enum class address_role : std::uint8_t { eid, rloc };

/// The AFI and its address. `field` is what errors name.
[[nodiscard]] address read_address(reader& from, const char* field, std::size_t depth = 0);
void write_address(writer& to, const address& written, address_role role, std::size_t depth = 0);

/// The address alone, its AFI and mask length having been read apart, as in EID records; checks that they fit.
[[nodiscard]] eid_prefix read_eid(reader& from, std::uint8_t mask_length);
/// AFI and address of an EID; its length is the caller's to write. Refuses lengths that can't be.
void write_eid(writer& to, const eid_prefix& written);

// lcaf_codec.cpp

/// What follows AFI 16387. REQUIRES of both: depth <= max_address_depth.
[[nodiscard]] address read_lcaf(reader& from, std::size_t depth);
/// False when `written` is no LCAF.
[[nodiscard]] bool write_lcaf(writer& to, const address& written, address_role role, std::size_t depth);

} // namespace glocal::lisp
