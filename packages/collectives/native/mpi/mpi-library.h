// An MPI library that is opened at run time.
//
// Nothing here includes an <mpi.h>: the handles of the three binary interfaces are facts of those interfaces.
// Every other library is called through a shim (mpi-shim.c).
// - Open MPI 4 and 5 (libmpi.so.40): handles are addresses of symbols that the library exports.
// - MPICH and its relatives, also Intel MPI and Cray MPICH (libmpi.so.12): handles are fixed ints.
// - The standard interface of MPI 5 (libmpi_abi.so.1): handles are fixed numbers in pointers.
#pragma once
#include "mpi-table.h"

namespace qdylora {

/** `Shim`: a library that was compiled from mpi-shim.c, for every other MPI. */
enum class Abi { OpenMpi, Mpich, Standard, Shim };

using MpiLibrary = QdyloraMpiTable;

/** What went wrong while a library was opened; empty: nothing. */
struct OpenError {
  char text[1024] = "";
};

/**
 * Asks a library for its name and version (a buffer of 8192 bytes); `isShim`: it was compiled from
 * mpi-shim.c. False: it is no MPI library.
 */
bool identifyLibrary(const char* path, char* version, bool& isShim, OpenError& error);

/** Opens a library once for the process. Null, and `error` says why, where it is no MPI library. */
const MpiLibrary* openMpiLibrary(const char* path, Abi, OpenError& error);

}  // namespace qdylora
