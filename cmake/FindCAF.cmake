# Debian's libcaf-dev ships neither a CMake config nor a .pc file.
# Defines CAF::core and CAF::io; headers are SYSTEM, they warn under -Wall.
find_path(CAF_INCLUDE_DIR caf/all.hpp)
find_library(CAF_CORE_LIBRARY caf_core)
find_library(CAF_IO_LIBRARY caf_io)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CAF REQUIRED_VARS CAF_INCLUDE_DIR CAF_CORE_LIBRARY CAF_IO_LIBRARY)
foreach(part core io)
  string(TOUPPER ${part} upper)
  if(CAF_FOUND AND NOT TARGET CAF::${part})
    add_library(CAF::${part} UNKNOWN IMPORTED)
    set_target_properties(CAF::${part} PROPERTIES
      IMPORTED_LOCATION ${CAF_${upper}_LIBRARY}
      INTERFACE_INCLUDE_DIRECTORIES ${CAF_INCLUDE_DIR}
      INTERFACE_SYSTEM_INCLUDE_DIRECTORIES ${CAF_INCLUDE_DIR})
  endif()
endforeach()
if(TARGET CAF::io)
  set_property(TARGET CAF::core PROPERTY INTERFACE_LINK_LIBRARIES Threads::Threads)
  set_property(TARGET CAF::io PROPERTY INTERFACE_LINK_LIBRARIES CAF::core)
  # CAF 0.17 binds a reference to a null tuple in each function-based actor (detail/init_fun_factory.hpp). A null that is
  # really used still ends in AddressSanitizer's report.
  if(GLOCAL_SANITIZE MATCHES "undefined")
    set_property(TARGET CAF::core PROPERTY INTERFACE_COMPILE_OPTIONS -fno-sanitize=null)
  endif()
endif()
