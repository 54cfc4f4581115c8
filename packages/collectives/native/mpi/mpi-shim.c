/*
 * The table of mpi-table.h over the <mpi.h> of any MPI library, for those whose binary interface the addon
 * does not know. Compiled by the library's own compiler, which links the library:
 *
 *     mpicc -shared -fPIC -O2 mpi-shim.c -o qdylora-mpi.so
 *     QDYLORA_MPI_LIBRARY=$PWD/qdylora-mpi.so mpirun -n 4 npx qdylora train run.yaml
 */
#include "mpi-table.h"

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

static MPI_Datatype typeOf(int element) {
  switch (element) {
    case 0:
      return MPI_FLOAT;
    case 1:
      return MPI_DOUBLE;
    case 2:
      return MPI_INT32_T;
    default:
      return MPI_UINT8_T;
  }
}

static MPI_Op operationOf(int reduction) {
  switch (reduction) {
    case 0:
      return MPI_SUM;
    case 1:
      return MPI_MAX;
    default:
      return MPI_MIN;
  }
}

static int initialize(int* threads) {
  int isInitialized = 0;
  int level = MPI_THREAD_SERIALIZED;
  MPI_Initialized(&isInitialized);
  if (!isInitialized) {
    const int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level);
    if (code != MPI_SUCCESS) return code;
  }
  *threads = level >= MPI_THREAD_SERIALIZED;
  return MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
}

static int finalize(void) { return MPI_Finalize(); }
static int abortAll(int status) { return MPI_Abort(MPI_COMM_WORLD, status); }
static int rankOf(int* rank) { return MPI_Comm_rank(MPI_COMM_WORLD, rank); }
static int sizeOf(int* size) { return MPI_Comm_size(MPI_COMM_WORLD, size); }

static int allReduce(void* values, int count, int element, int reduction) {
  return MPI_Allreduce(MPI_IN_PLACE, values, count, typeOf(element), operationOf(reduction), MPI_COMM_WORLD);
}

static int broadcast(void* values, int count, int element, int root) {
  return MPI_Bcast(values, count, typeOf(element), root, MPI_COMM_WORLD);
}

static int allGather(const void* part, void* all, int count, int element) {
  return MPI_Allgather(part, count, typeOf(element), all, count, typeOf(element), MPI_COMM_WORLD);
}

static int allToAll(const void* parts, void* received, int count, int element) {
  return MPI_Alltoall(parts, count, typeOf(element), received, count, typeOf(element), MPI_COMM_WORLD);
}

static int barrier(void) { return MPI_Barrier(MPI_COMM_WORLD); }

static void message(int code, char* text) {
  int length = 0;
  text[0] = '\0';
  MPI_Error_string(code, text, &length);
}

static void version(char* text) {
  int length = 0;
  text[0] = '\0';
  MPI_Get_library_version(text, &length);
}

static const QdyloraMpiTable TABLE = {
    initialize, finalize,  abortAll, rankOf,  sizeOf,  allReduce,
    broadcast,  allGather, allToAll, barrier, message, version,
};

const QdyloraMpiTable* qdyloraMpiTable(int version) {
  return version == QDYLORA_MPI_TABLE_VERSION ? &TABLE : NULL;
}
