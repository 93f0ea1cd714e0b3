/* Taking hold of the arrays of a snapshot, and checking that their lengths fit each other. */
#include "kernel.h"

#include <string.h>

static const char *const NAMES[] = {
#define NAME(name, text, type) text,
    ARRAYS(NAME)
#undef NAME
};

static const size_t WIDTHS[] = {
#define WIDTH(name, text, type) sizeof(type),
    ARRAYS(WIDTH)
#undef WIDTH
};

static void point(Tables *t, int which, const Py_buffer *view)
{
    int at = 0;
#define POINT(name, text, type) \
    if (at++ == which) { \
        t->name = view->buf; \
        t->n_##name = view->len / (Py_ssize_t)sizeof(type); \
    }
    ARRAYS(POINT)
#undef POINT
}

void release_arrays(Views *views)
{
    while (views->n_views > 0)
        PyBuffer_Release(&views->views[--views->n_views]);
}

/* Hold the arrays of a dict by name; where not all are asked for, those that are missing stay empty. */
bool take_arrays(PyObject *arrays, bool are_all, Tables *t, Views *views)
{
    memset(t, 0, sizeof *t);
    views->n_views = 0;
    for (int i = 0; i < N_ARRAYS; i++) {
        PyObject *array = PyDict_GetItemString(arrays, NAMES[i]);
        if (array == NULL && !are_all)
            continue;
        if (array == NULL) {
            PyErr_Format(PyExc_KeyError, "%s", NAMES[i]);
            return false;
        }
        Py_buffer *view = &views->views[views->n_views];
        if (PyObject_GetBuffer(array, view, PyBUF_C_CONTIGUOUS) < 0)
            return false;
        views->n_views++;
        if ((size_t)view->itemsize != WIDTHS[i] || view->len / view->itemsize >= INT32_MAX * 64LL ||
            (uintptr_t)view->buf % WIDTHS[i] != 0) {
            PyErr_Format(PyExc_ValueError, "%s has values of %zd bytes where %zu belong", NAMES[i],
                         view->itemsize, WIDTHS[i]);
            return false;
        }
        point(t, i, view);
    }
    t->n_skus = t->n_sku_card / SKU_CARD;
    t->n_rows = t->n_row_card / ROW_CARD;
    t->n_kinds = t->n_edge_offsets - 2;
    t->n_rationales = t->n_rationale_edge_offsets - 1;
    t->n_edges = t->n_edge_source;
    return true;
}

#define MUST(condition, name) \
    if (!(condition)) \
        return name;

/* The name of an array of the edges and their lists whose length does not fit; NULL on a good day. */
const char *misfit_of_edges(const Tables *t)
{
    MUST(t->n_kinds >= 0 && t->n_kinds < INT32_MAX, "edge_offsets")
    MUST(t->n_rationales >= 0 && t->n_rationales < INT32_MAX, "rationale_edge_offsets")
    MUST(t->n_edges < INT32_MAX, "edge_source")
    MUST(t->n_edge_type == t->n_edges, "edge_type")
    MUST(t->n_edge_target == t->n_edges, "edge_target")
    MUST(t->n_edge_weight == t->n_edges, "edge_weight")
    MUST(t->n_edge_inferred_weight == t->n_edges, "edge_inferred_weight")
    MUST(t->n_backward_offsets == t->n_kinds + 1, "backward_offsets")
    MUST(t->n_shared_offsets == t->n_kinds + 1, "shared_offsets")
    MUST(t->n_shared_via == t->n_shared_edge, "shared_via")
    MUST(t->n_shared_weight == t->n_shared_edge, "shared_weight")
    return NULL;
}

static const char *misfit_of_rows(const Tables *t)
{
    MUST(t->n_row_offsets == t->n_kinds + t->n_rationales + 1, "row_offsets")
    MUST(t->n_rows < INT32_MAX && t->n_rows * ROW_CARD == t->n_row_card, "row_cards")
    MUST(t->n_scores >= 1, "scores")
    return NULL;
}

/* The name of an array whose length does not fit the others'; NULL on a good day. */
const char *misfit(const Tables *t)
{
    const char *of_edges = misfit_of_edges(t), *of_rows = misfit_of_rows(t);
    if (of_edges != NULL || of_rows != NULL)
        return of_edges != NULL ? of_edges : of_rows;
    MUST(t->n_skus < INT32_MAX && t->n_skus * SKU_CARD == t->n_sku_card, "sku_cards")
    MUST(t->n_sku_slots >= 1, "sku_slots")
    MUST(t->n_kind_card == t->n_kinds * KIND_CARD, "kind_cards")
    MUST(t->n_rationale_text_at == t->n_rationales + 1, "rationale_texts.offsets")
    MUST(t->n_edge_card == t->n_edges * EDGE_CARD, "edge_cards")
    MUST(t->n_edge_probability == t->n_edges, "edge_probability")
    return NULL;
}
