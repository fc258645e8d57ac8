# A folder's CMakeLists.txt is one call each of these. Every .cc of the folder that is no test and
# no main belongs to the folder's library; every *_test.cc to one test program.
include(GoogleTest)

set(TARN_WARNINGS -Wall -Wextra -Wpedantic -Werror -Wshadow -Wnon-virtual-dtor)

# tarn_library(NAME [DEPS target...] [FOLDERS folder...]): all *.cc of this folder, and of the
# folders below it that are named, but *_test.cc and main.cc.
function(tarn_library name)
  cmake_parse_arguments(ARG "" "" "DEPS;FOLDERS" ${ARGN})
  list(TRANSFORM ARG_FOLDERS APPEND /*.cc)
  file(GLOB sources CONFIGURE_DEPENDS *.cc ${ARG_FOLDERS})
  list(FILTER sources EXCLUDE REGEX "(_test|/main|_fuzz)\\.cc$")
  if(sources)
    add_library(${name} STATIC ${sources})
    target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
    target_link_libraries(${name} PUBLIC ${ARG_DEPS} Threads::Threads)
    target_compile_options(${name} PRIVATE ${TARN_WARNINGS})
  else()
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
    target_link_libraries(${name} INTERFACE ${ARG_DEPS} Threads::Threads)
  endif()
endfunction()

# tarn_program(NAME SOURCES file... DEPS target...): a program in build/<preset>/bin.
function(tarn_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
  target_compile_options(${name} PRIVATE ${TARN_WARNINGS})
endfunction()

# tarn_tests(NAME DEPS target... [FOLDERS folder...]): all *_test.cc of this folder, and of the
# folders below it that are named, as one GoogleTest program, known to ctest by that name.
function(tarn_tests name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "DEPS;FOLDERS" ${ARGN})
  list(TRANSFORM ARG_FOLDERS APPEND /*_test.cc)
  file(GLOB sources CONFIGURE_DEPENDS *_test.cc ${ARG_FOLDERS})
  if(NOT sources)
    return()
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(TARN_SANITIZE)
    math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * 5")
  endif()
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  target_compile_options(${name} PRIVATE ${TARN_WARNINGS})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT})
endfunction()

# tarn_proto(NAME file.proto [DIR folder] [DEPS target...]): protobuf and gRPC code for one .proto
# of `folder` (api), included as "<folder>/<file>.pb.h".
function(tarn_proto name proto)
  cmake_parse_arguments(ARG "" "DIR" "DEPS" ${ARGN})
  if(NOT ARG_DIR)
    set(ARG_DIR api)
  endif()
  get_filename_component(base ${proto} NAME_WE)
  set(out ${CMAKE_BINARY_DIR}/${ARG_DIR}/${base})
  add_custom_command(
    OUTPUT ${out}.pb.cc ${out}.pb.h ${out}.grpc.pb.cc ${out}.grpc.pb.h
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/${ARG_DIR}
    COMMAND protobuf::protoc -I ${CMAKE_SOURCE_DIR} --cpp_out=${CMAKE_BINARY_DIR}
            --grpc_out=${CMAKE_BINARY_DIR} --plugin=protoc-gen-grpc=${GRPC_CPP_PLUGIN}
            ${ARG_DIR}/${proto}
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    DEPENDS ${CMAKE_SOURCE_DIR}/${ARG_DIR}/${proto})
  add_library(${name} STATIC ${out}.pb.cc ${out}.grpc.pb.cc)
  target_include_directories(${name} SYSTEM PUBLIC ${CMAKE_BINARY_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS} protobuf::libprotobuf PkgConfig::GRPC)
endfunction()

# tarn_fuzzers(DEPS target... [FOLDERS folder...]): each *_fuzz.cc of this folder, and of the
# folders below it that are named, as a libFuzzer program of its file's name. Only in the preset
# "fuzz".
function(tarn_fuzzers)
  cmake_parse_arguments(ARG "" "" "DEPS;FOLDERS" ${ARGN})
  if(NOT TARN_FUZZ)
    return()
  endif()
  list(TRANSFORM ARG_FOLDERS APPEND /*_fuzz.cc)
  file(GLOB sources CONFIGURE_DEPENDS *_fuzz.cc ${ARG_FOLDERS})
  foreach(source IN LISTS sources)
    get_filename_component(name ${source} NAME_WE)
    tarn_program(${name} SOURCES ${source} DEPS ${ARG_DEPS})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set_target_properties(${name} PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzzers)
    add_dependencies(fuzzers ${name})
  endforeach()
endfunction()
