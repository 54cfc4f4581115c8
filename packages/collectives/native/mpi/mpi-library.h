// An MPI library that is opened at run time.
//
// Nothing here includes an <mpi.h>: the handles of the three binary interfaces are facts of those interfaces.
// - Open MPI 4 and 5 (libmpi.so.40): handles are addresses of symbols that the library exports.
// - MPICH and its relatives, also Intel MPI and Cray MPICH (libmpi.so.12): handles are fixed ints.
// - The standard interface of MPI 5 (libmpi_abi.so.1): handles are fixed numbers in pointers.
#pragma once
#include <cstddef>

#include "../typed-arrays.h"

namespace qdylora {

enum class Abi { OpenMpi, Mpich, Standard };

/** Functions of the opened library. Each returns 0, or MPI's error code. Counts are in elements. */
struct MpiLibrary {
  /** Initializes MPI unless it is; `threads`: whether other threads may call it, one at a time. */
  int (*initialize)(bool* threads);
  int (*finalize)();
  int (*abort)(int status);
  int (*rank)(int* rank);
  int (*size)(int* size);
  int (*allReduce)(void* values, int count, Element, Reduction);
  int (*broadcast)(void* values, int count, Element, int root);
  int (*allGather)(const void* part, void* all, int count, Element);
  int (*allToAll)(const void* parts, void* received, int count, Element);
  int (*barrier)();
  /** The library's message for an error code, in a buffer of 512 bytes. */
  void (*message)(int code, char* text);
  /** Name and version, in a buffer of 8192 bytes. */
  void (*version)(char* text);
};

/** What went wrong while a library was opened; empty: nothing. */
struct OpenError {
  char text[1024] = "";
};

/** Asks a library for its name and version (a buffer of 8192 bytes). False: it is no MPI library. */
bool identifyLibrary(const char* path, char* version, OpenError& error);

/** Opens a library once for the process. Null, and `error` says why, where it is no MPI library. */
const MpiLibrary* openMpiLibrary(const char* path, Abi, OpenError& error);

}  // namespace qdylora
