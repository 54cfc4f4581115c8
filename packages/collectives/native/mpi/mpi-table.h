/* What the addon needs of an MPI library. C, so that a shim can be compiled by the `mpicc` of any library. */
#ifndef QDYLORA_MPI_TABLE_H
#define QDYLORA_MPI_TABLE_H

/** Changes with the table. A shim that was compiled for another one is refused. */
#define QDYLORA_MPI_TABLE_VERSION 1

/** The function of a shim: `const QdyloraMpiTable* qdyloraMpiTable(int version)`; null for other versions. */
#define QDYLORA_MPI_TABLE_FUNCTION "qdyloraMpiTable"

/**
 * Functions of the opened library. Each returns 0, or MPI's error code. Counts are in elements. `element` is
 * 0 (float), 1 (double), 2 (int32) or 3 (uint8); `reduction` is 0 (sum), 1 (max) or 2 (min).
 */
typedef struct QdyloraMpiTable {
  /** Initializes MPI unless it is; `threads`: 1 where other threads may call it, one at a time, else 0. */
  int (*initialize)(int* threads);
  int (*finalize)(void);
  int (*abort)(int status);
  int (*rank)(int* rank);
  int (*size)(int* size);
  int (*allReduce)(void* values, int count, int element, int reduction);
  int (*broadcast)(void* values, int count, int element, int root);
  int (*allGather)(const void* part, void* all, int count, int element);
  int (*allToAll)(const void* parts, void* received, int count, int element);
  int (*barrier)(void);
  /** The library's message for an error code, in a buffer of 512 bytes. */
  void (*message)(int code, char* text);
  /** Name and version, in a buffer of 8192 bytes. */
  void (*version)(char* text);
} QdyloraMpiTable;

#endif
