# tarn_xdr(NAME FILE.x NAMESPACE): C++ from one XDR file of api/, included as "api/<file>.h".
function(tarn_xdr name x namespace)
  get_filename_component(base ${x} NAME_WE)
  set(out ${CMAKE_BINARY_DIR}/api/${base})
  set(compiler ${CMAKE_SOURCE_DIR}/server/xdr/xdrgen.py)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/api)
  add_custom_command(
    OUTPUT ${out}.cc ${out}.h
    COMMAND Python3::Interpreter ${compiler} ${CMAKE_SOURCE_DIR}/api/${x}
            ${CMAKE_BINARY_DIR}/api ${namespace}
    DEPENDS ${CMAKE_SOURCE_DIR}/api/${x} ${compiler})
  add_library(${name} STATIC ${out}.cc ${out}.h)
  target_include_directories(${name} SYSTEM PUBLIC ${CMAKE_BINARY_DIR})
  target_link_libraries(${name} PUBLIC tarn_xdr)
endfunction()
