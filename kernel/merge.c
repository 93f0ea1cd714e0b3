/* Every node's paths merged by target, as pkgraph.snapshot.merging does, to the bit. */
#include "kernel.h"

#include <string.h>

enum { N_COLUMNS = 5 }; /* target, weight, edge, via of every row; targets of every node */

static bool append(PyObject *column, Py_ssize_t *used, const void *value)
{
    Py_ssize_t size = PyByteArray_GET_SIZE(column);
    if (*used + 4 > size && PyByteArray_Resize(column, size < 4096 ? 4096 : 2 * size) < 0)
        return false;
    memcpy(PyByteArray_AS_STRING(column) + *used, value, 4);
    *used += 4;
    return true;
}

static bool append_row(PyObject **columns, Py_ssize_t *used, const Target *target, const Arrival *arrival)
{
    uint32_t weight = (uint32_t)arrival->weight;
    return append(columns[0], &used[0], &target->kind) && append(columns[1], &used[1], &weight) &&
           append(columns[2], &used[2], &arrival->edge) && append(columns[3], &used[3], &arrival->via);
}

static Status merge_node(const Tables *t, Scratch *s, const Asked *all, int64_t node, int64_t max_row,
                         PyObject **columns, Py_ssize_t *used)
{
    s->n_sources = 1;
    s->sources[0] = (Source){node, -1, 1024};
    Status status = collect_by_paths(t, all, s);
    if (status != OK)
        return status;
    int32_t n_targets = (int32_t)s->n_targets;
    if (!append(columns[4], &used[4], &n_targets) || !heap_targets(s))
        return FAILED;
    for (int64_t i = 0; i < max_row && s->n_heap > 0; i++) {
        const Target *target = &s->targets[pop_target(s)];
        if (!append_row(columns, used, target, &s->arrivals[target->best]))
            return FAILED;
    }
    return OK;
}

static PyObject *columns_of(PyObject **columns, const Py_ssize_t *used)
{
    for (int i = 0; i < N_COLUMNS; i++)
        if (PyByteArray_Resize(columns[i], used[i]) < 0)
            return NULL;
    return PyTuple_Pack(N_COLUMNS, columns[0], columns[1], columns[2], columns[3], columns[4]);
}

/* Bytearrays of int32, uint32 for the weights: target, weight, edge, via of every row; targets of every node. */
PyObject *merge_paths(const Tables *t, int64_t max_row, Status *status)
{
    PyObject *columns[N_COLUMNS] = {NULL}, *found = NULL;
    Py_ssize_t used[N_COLUMNS] = {0};
    Asked all = {.types = 0, .all_types = 0, .min_probability = 0};
    Scratch *s = PyMem_Calloc(1, sizeof *s);
    *status = s != NULL && RESERVE(s, sources, 1) ? OK : FAILED;
    for (int i = 0; i < N_COLUMNS; i++)
        if ((columns[i] = PyByteArray_FromStringAndSize(NULL, 0)) == NULL)
            *status = FAILED;
    for (int64_t node = 0; node < t->n_kinds + t->n_rationales && *status == OK; node++) {
        *status = merge_node(t, s, &all, node, max_row, columns, used);
        if (node % 4096 == 0 && *status == OK && PyErr_CheckSignals() < 0)
            *status = FAILED;
    }
    if (*status == OK && (found = columns_of(columns, used)) == NULL)
        *status = FAILED;
    for (int i = 0; i < N_COLUMNS; i++)
        Py_XDECREF(columns[i]);
    free_scratch(s);
    return found;
}
