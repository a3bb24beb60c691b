# The vocabulary of every CMakeLists.txt here: libraries, tests and fuzzers with the project's flags.

set(GLOCAL_SANITIZE "" CACHE STRING "Sanitizers for everything, as in -fsanitize=: address,undefined or thread")

find_program(GLOCAL_CCACHE ccache)
if(GLOCAL_CCACHE)
  # Precompiled headers are cached only with these sloppinesses and -fpch-preprocess (ccache manual, "Precompiled headers").
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      # A clean clone in another directory hits the same cache.
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${GLOCAL_CCACHE})
  add_compile_options(-fpch-preprocess)
endif()

# -g1 in release: line numbers for perf and backtraces at a third of -g's link time.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1 -fno-omit-frame-pointer")
# The floor of every machine we run on; wider code is dispatched at run time.
add_compile_options(-march=x86-64-v2)
if(GLOCAL_SANITIZE)
  add_compile_options(-fsanitize=${GLOCAL_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${GLOCAL_SANITIZE})
  if(GLOCAL_SANITIZE STREQUAL thread)
    # ThreadSanitizer does not model the fence of spsc_ring's wake-up, and GCC says so; what the ring's data relies on
    # are its acquire and release operations, which it does model.
    add_compile_options(-Wno-tsan)
  endif()
endif()

add_library(glocal_flags INTERFACE)
target_compile_options(glocal_flags INTERFACE -Wall -Wextra -Werror -Wnon-virtual-dtor -Woverloaded-virtual)
target_include_directories(glocal_flags INTERFACE ${CMAKE_SOURCE_DIR})

# glocal_library(NAME SOURCES a.cpp ... [LINKS lib ...]): a static library that includes from the top of the tree.
function(glocal_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC ${arg_LINKS} PRIVATE glocal_flags)
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
endfunction()

# glocal_test(NAME SOURCES a_test.cpp ... [LINKS lib ...] [LABEL unit|netns]): one Catch2 program, one ctest entry.
# Unit programs are what the sanitizer builds run: target glocal_unit_tests builds them all.
add_custom_target(glocal_unit_tests)
function(glocal_test name)
  cmake_parse_arguments(arg "" "LABEL" "SOURCES;LINKS" ${ARGN})
  if(NOT arg_LABEL)
    set(arg_LABEL unit)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LINKS} glocal_test_main glocal_flags)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${arg_LABEL} TIMEOUT 300)
  if(arg_LABEL STREQUAL unit)
    add_dependencies(glocal_unit_tests ${name})
  endif()
endfunction()

# glocal_fuzzer(NAME SOURCES x_fuzz.cpp [LINKS lib ...] [CORPUS dir]): a program around LLVMFuzzerTestOneInput.
# Under ctest it runs a fixed-seed smoke, in a sanitizer build of SANITIZED_RUNS runs; run it by hand with --runs and
# --seed, or link it with clang's -fsanitize=fuzzer.
function(glocal_fuzzer name)
  cmake_parse_arguments(arg "" "CORPUS;SANITIZED_RUNS" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LINKS} glocal_fuzz_main glocal_flags)
  set(runs 20000)
  if(GLOCAL_SANITIZE AND arg_SANITIZED_RUNS)
    set(runs ${arg_SANITIZED_RUNS})
  endif()
  set(command ${name} --seed 1 --runs ${runs})
  if(arg_CORPUS)
    list(APPEND command --corpus ${CMAKE_CURRENT_SOURCE_DIR}/${arg_CORPUS})
  endif()
  add_test(NAME ${name} COMMAND ${command})
  set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 300)
  add_dependencies(glocal_unit_tests ${name})
endfunction()
