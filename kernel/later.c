/* An answer as Python records, whose items are made when they are read. */
#include "render.h"

#include <string.h>

/* pkgraph._kernel.Later: what was found, with room for it behind. */
typedef struct {
    PyObject_VAR_HEAD
    Graph *graph;
    PyObject *skus; /* a tuple */
    Found found;
    uint64_t room[];
} Later;

static void later_dealloc(Later *self)
{
    Py_XDECREF(self->graph);
    Py_XDECREF(self->skus);
    PyObject_Free(self);
}

static PyObject *later(Graph *graph, PyObject *skus, Found found)
{
    int64_t n_reasons = found.n_choices > 0 ? found.choices[found.n_choices - 1].end : 0;
    size_t of_choices = (size_t)found.n_choices * sizeof(Choice), of_reasons = (size_t)n_reasons * sizeof(Reason);
    Later *self = PyObject_NewVar(Later, &LaterType, (Py_ssize_t)(of_choices + of_reasons));
    if (self == NULL)
        return NULL;
    self->graph = (Graph *)Py_NewRef((PyObject *)graph);
    self->skus = Py_NewRef(skus);
    Choice *choices = (Choice *)self->room;
    Reason *reasons = (Reason *)(choices + found.n_choices);
    if (found.n_choices > 0) {
        memcpy(choices, found.choices, of_choices);
        memcpy(reasons, found.reasons, of_reasons);
    }
    self->found = (Found){choices, reasons, found.n_choices};
    return (PyObject *)self;
}

static PyObject *texts_of_rationales(const Graph *graph, PyObject *rows)
{
    Py_ssize_t n = PySequence_Fast_GET_SIZE(rows);
    PyObject *texts = PyTuple_New(n);
    for (Py_ssize_t i = 0; texts != NULL && i < n; i++) {
        Text text;
        int64_t row = PyLong_AsLongLong(PySequence_Fast_GET_ITEM(rows, i));
        bool is_there = is_row(row, graph->tables.n_rationales) &&
                        TEXT(&graph->tables, rationale_text, row, &text);
        PyObject *made = is_there ? new_text(text) : raise_status(graph, DAMAGED);
        if (made == NULL)
            Py_CLEAR(texts);
        else
            PyTuple_SET_ITEM(texts, i, made);
    }
    return texts;
}

/* Recommendations without its first field, the items. */
PyObject *as_records(Graph *graph, const Asked *asked, Found found, PyObject *unknown)
{
    PyObject *fields[N_ANSWER_FIELDS - 1] = {
        PyList_AsTuple(unknown),
        texts_of_rationales(graph, asked->rationales),
        Py_NewRef(graph->snapshot_id),
        later(graph, asked->skus, found),
    };
    PyObject *made = record(graph->records.answer, graph->records.answer_at + 1, fields, N_ANSWER_FIELDS - 1);
    return made != NULL ? made : raise_status(graph, FAILED);
}

static PyObject *later_items(Later *self, PyObject *ignored)
{
    (void)ignored;
    Status status;
    fetch_first(&self->graph->tables, self->found);
    PyObject *items = as_items(&self->graph->tables, &self->graph->records, self->skus, self->found, &status);
    return items != NULL ? items : raise_status(self->graph, status);
}

static PyMethodDef later_methods[] = {
    {"items", (PyCFunction)later_items, METH_NOARGS, "The recommended products."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject LaterType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "pkgraph._kernel.Later",
    .tp_doc = "What was found and not yet read.",
    .tp_basicsize = sizeof(Later),
    .tp_itemsize = 1,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_dealloc = (destructor)later_dealloc,
    .tp_methods = later_methods,
};
