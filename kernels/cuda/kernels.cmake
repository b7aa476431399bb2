# The CUDA kernels: each .cu file becomes one fat binary, with machine code for every architecture and
# PTX for those to come, which fat_binaries.cpp embeds. CMake's own CUDA language is not used: it
# would link CUDA's runtime, and the library links nothing of CUDA.

set(JPEGRT_CUDA AUTO CACHE STRING "Build the CUDA kernels: AUTO (where nvcc 12.8 or newer is), ON, OFF")
set_property(CACHE JPEGRT_CUDA PROPERTY STRINGS AUTO ON OFF)
set(jpegrt_cuda_kernels unpack project pixels upsample blocking_edges non_local)
set(jpegrt_cuda_architectures 75 80 86 89 90 100 120)
list(GET jpegrt_cuda_architectures -1 jpegrt_newest_architecture)

set(jpegrt_cuda_problem "switched off")
if(NOT JPEGRT_CUDA STREQUAL "OFF")
  find_program(JPEGRT_NVCC nvcc HINTS ENV CUDACXX ENV CUDA_PATH ENV CUDA_HOME
    PATHS /usr/local/cuda PATH_SUFFIXES bin)
  set(jpegrt_cuda_problem "nvcc was not found: set JPEGRT_NVCC to it")
  if(JPEGRT_NVCC)
    file(WRITE ${CMAKE_BINARY_DIR}/cuda/probe.cu "__global__ void probe() {}\n")
    execute_process(
      COMMAND ${JPEGRT_NVCC} -arch=sm_${jpegrt_newest_architecture} -cubin -o ${CMAKE_BINARY_DIR}/cuda/probe.cubin
        ${CMAKE_BINARY_DIR}/cuda/probe.cu
      RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
    set(jpegrt_cuda_problem "")
    if(failed)
      string(STRIP "${output}" output)
      set(jpegrt_cuda_problem "${JPEGRT_NVCC} cannot compile for sm_${jpegrt_newest_architecture}: ${output}")
    endif()
  endif()
endif()
if(jpegrt_cuda_problem AND NOT JPEGRT_CUDA MATCHES "^(AUTO|OFF)$")
  message(FATAL_ERROR "CUDA kernels: ${jpegrt_cuda_problem}")
elseif(jpegrt_cuda_problem)
  message(STATUS "CUDA kernels: none (${jpegrt_cuda_problem})")
else()
  message(STATUS "CUDA kernels: compiled by ${JPEGRT_NVCC}")
endif()

target_sources(jpegrt PRIVATE
  kernels/cuda/abi.cpp
  kernels/cuda/blocking_edges.cpp
  kernels/cuda/component.cpp
  kernels/cuda/context.cpp
  kernels/cuda/driver.cpp
  kernels/cuda/fat_binaries.cpp
  kernels/cuda/non_local.cpp
  kernels/cuda/pixels.cpp
  kernels/cuda/project.cpp
  kernels/cuda/staging.cpp
  kernels/cuda/stream.cpp
  kernels/cuda/unpack.cpp
  kernels/cuda/upsample.cpp)
target_link_libraries(jpegrt PRIVATE ${CMAKE_DL_LIBS})

if(NOT jpegrt_cuda_problem)
  set(gencode)
  foreach(architecture IN LISTS jpegrt_cuda_architectures)
    list(APPEND gencode -gencode arch=compute_${architecture},code=sm_${architecture})
  endforeach()
  set(newest compute_${jpegrt_newest_architecture})
  list(APPEND gencode -gencode arch=${newest},code=${newest})
  set(folder ${CMAKE_BINARY_DIR}/cuda)
  set(fat_binaries)
  foreach(kernel IN LISTS jpegrt_cuda_kernels)
    set(source ${CMAKE_CURRENT_SOURCE_DIR}/kernels/cuda/${kernel}.cu)
    # As on the CPU, a * b + c is not contracted: the twins then give the same bits.
    add_custom_command(
      OUTPUT ${folder}/${kernel}.fatbin
      COMMAND ${JPEGRT_NVCC} -fatbin -std=c++17 -O3 -fmad=false --compress-mode=size --threads 2
        -Werror all-warnings ${gencode} -MD -MF ${folder}/${kernel}.d -MT ${folder}/${kernel}.fatbin
        -o ${folder}/${kernel}.fatbin ${source}
      DEPENDS ${source}
      DEPFILE ${folder}/${kernel}.d
      COMMENT "Compiling kernels/cuda/${kernel}.cu for ${jpegrt_cuda_architectures}"
      VERBATIM)
    list(APPEND fat_binaries ${folder}/${kernel}.fatbin)
  endforeach()
  set_source_files_properties(kernels/cuda/fat_binaries.cpp PROPERTIES
    COMPILE_DEFINITIONS "JPEGRT_FAT_BINARIES=\"${folder}\""
    OBJECT_DEPENDS "${fat_binaries}")
endif()
