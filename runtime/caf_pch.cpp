// Carries the precompiled <caf/all.hpp> that runtime/, actors/ and node/ reuse (see CMakeLists.txt).
