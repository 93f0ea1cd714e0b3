/* A column of texts as Arrow hands it over. */
#ifndef PKGRAPH_ARROW_H
#define PKGRAPH_ARROW_H

#include "kernel.h"

typedef struct {
    struct ArrowArray *chunks;
    int64_t n_chunks, n;
} Column;

enum { INLINED = 12 };

/* Up to INLINED bytes stand in the view itself: twelve of them may be read, those behind the text are zeros. */
typedef struct {
    const uint8_t *start; /* NULL where there is no text */
    int64_t length;
} Bytes;

/* Called with every text in its order; what it returns but OK ends the walk. */
typedef Status Visit(void *context, int64_t row, Bytes text);

bool take_column(PyObject *capsule, Column *column);
void release_column(Column *column);
Status walk_column(const Column *column, Visit *visit, void *context);

#endif
