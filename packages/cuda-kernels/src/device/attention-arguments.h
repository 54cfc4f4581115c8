// The arguments that all attention kernels begin with, and the call that they make.
#pragma once
#include "attention.h"

#define QD_ATTENTION_ARGUMENTS                                                                          \
  const void *q, const void *k, const void *v, int kind, int operandKind, const int *querySegments,     \
      const int *keySegments, int ends, const float *alibiSlopes, int hasSlopes, int queries, int keys, \
      int heads, int kvHeads, int dim, int window, float scale, float softCap

#define QD_ATTENTION_CALL                                                         \
  {q,           k,       v,           kind,           operandKind, querySegments, \
   keySegments, ends,    alibiSlopes, hasSlopes != 0, queries,     keys,          \
   heads,       kvHeads, dim,         window,         scale,       softCap}
