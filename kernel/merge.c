/* Every node's paths merged by target, as pkgraph.snapshot.merging does, to the bit. */
#include "kernel.h"

#include <string.h>

enum { N_COLUMNS = 5 }; /* target, weight, edge, via of every row; targets of every node */

typedef struct {
    uint32_t *values;
    int64_t n, size;
} Column;

static bool append(Column *column, uint32_t value)
{
    if (column->n == column->size &&
        !grow((void **)&column->values, &column->size, column->n + 1, sizeof *column->values))
        return false;
    column->values[column->n++] = value;
    return true;
}

static bool append_row(Column *columns, const Target *target, const Arrival *arrival)
{
    return append(&columns[0], (uint32_t)target->kind) && append(&columns[1], (uint32_t)arrival->weight) &&
           append(&columns[2], (uint32_t)arrival->edge) && append(&columns[3], (uint32_t)arrival->via);
}

static Status merge_node(const Tables *t, Scratch *s, const Asked *all, int64_t node, int64_t max_row,
                         Column *columns)
{
    s->n_sources = 1;
    s->sources[0] = (Source){.node = node, .seed = -1, .steps = WEIGHT_STEPS};
    Status status = collect_by_paths(t, all, s);
    if (status != OK)
        return status;
    if (!append(&columns[4], (uint32_t)s->n_targets) || !heap_between(s, 0, UINT64_MAX))
        return FAILED;
    for (int64_t i = 0; i < max_row && s->n_heap > 0; i++) {
        const Target *target = &s->targets[pop_candidate(s).target];
        if (!append_row(columns, target, &s->arrivals[target->last]))
            return FAILED;
    }
    return OK;
}

static Status merge_nodes(const Tables *t, int64_t first, int64_t end, int64_t max_row, Column *columns)
{
    Asked all = {.types = 0, .all_types = 0, .min_probability = 0};
    Scratch *s = PyMem_RawCalloc(1, sizeof *s);
    Status status = s != NULL && RESERVE(s, sources, 1) ? OK : FAILED;
    for (int64_t node = first; node < end && status == OK; node++)
        status = merge_node(t, s, &all, node, max_row, columns);
    free_scratch(s);
    return status;
}

/* Bytes of int32, uint32 for the weights: target, weight, edge, via of every row; targets of every node. */
PyObject *merge_paths(const Tables *t, int64_t first, int64_t end, int64_t max_row, Status *status)
{
    Column columns[N_COLUMNS] = {{0}};
    PyObject *found = NULL;
    Py_BEGIN_ALLOW_THREADS
    *status = merge_nodes(t, first, end, max_row, columns);
    Py_END_ALLOW_THREADS
    if (*status == OK)
        found = PyTuple_New(N_COLUMNS);
    for (int i = 0; i < N_COLUMNS; i++) {
        PyObject *bytes = found == NULL ? NULL
                                        : PyBytes_FromStringAndSize((const char *)columns[i].values, 4 * columns[i].n);
        if (bytes == NULL)
            Py_CLEAR(found);
        else
            PyTuple_SET_ITEM(found, i, bytes);
        PyMem_RawFree(columns[i].values);
    }
    if (found == NULL && *status == OK)
        *status = FAILED;
    return found;
}
