# Compile settings shared by every target, and the functions that declare one.

add_library(weir_settings INTERFACE)
target_include_directories(weir_settings INTERFACE ${CMAKE_SOURCE_DIR}/include)
target_compile_options(weir_settings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wundef -fno-omit-frame-pointer
  # GCC 12 sees overlaps in std::string's own operator+ that are none (its bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<BOOL:${WEIR_WERROR}>:-Werror>)
if(WEIR_SANITIZE)
  target_compile_options(weir_settings INTERFACE -fsanitize=${WEIR_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(weir_settings INTERFACE -fsanitize=${WEIR_SANITIZE})
endif()
if(WEIR_FUZZ)
  # What libFuzzer is guided by; its main() is linked to the targets alone.
  target_compile_options(weir_settings INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Boost, as headers only: Asio and JSON are compiled once, in src/base/boost.cpp.
add_library(weir_boost INTERFACE)
target_link_libraries(weir_boost INTERFACE Boost::headers Threads::Threads)
target_compile_definitions(weir_boost INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)

# weir_part(NAME SOURCES... [USES targets...]): the static library weir_NAME. USES names the
# parts and libraries that its files may include; an include of anything else does not link,
# and tests/layout says so for headers.
function(weir_part name)
  cmake_parse_arguments(PART "" "" "SOURCES;USES" ${ARGN})
  add_library(weir_${name} STATIC ${PART_SOURCES})
  target_link_libraries(weir_${name} PUBLIC weir_settings ${PART_USES})
endfunction()

# weir_compile_plainly(FILES...): files that are Boost's code nearly all, and whose speed nobody
# measures: hardly optimised, and not instrumented, which takes longest of all.
function(weir_compile_plainly)
  set(options -O1)
  if(WEIR_SANITIZE)
    list(APPEND options -fno-sanitize=all)
  endif()
  set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS "${options}")
endfunction()

# weir_optimise_little(TARGET): for the code of tests alone, which is compiled more often than it runs.
function(weir_optimise_little target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-Og>)
endfunction()

# weir_unit_test(PART SOURCES... [USES targets...] [LOOPS]): one GoogleTest program a part. Needs no
# privileges and no network. The tests' own code is not optimised, or little where it LOOPS, which
# takes half the time to compile; what it tests is.
function(weir_unit_test name)
  cmake_parse_arguments(TEST "LOOPS" "" "SOURCES;USES" ${ARGN})
  add_executable(test_${name} ${TEST_SOURCES})
  target_link_libraries(test_${name} PRIVATE weir_settings weir_${name} ${TEST_USES} GTest::gtest_main)
  target_include_directories(test_${name} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  if(TEST_LOOPS)
    weir_optimise_little(test_${name})
  else()
    target_compile_options(test_${name} PRIVATE -O0)
  endif()
  add_test(NAME unit/${name} COMMAND test_${name})
endfunction()
