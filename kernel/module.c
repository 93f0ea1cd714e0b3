/* pkgraph._kernel: a graph that answers, and what the compiler of snapshots leaves to C. */
#include "render.h"

enum { KERNEL_VERSION = 8 };

static PyObject *module_merge_paths(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *arrays, *found = NULL;
    unsigned int shares;
    long long max_row, first, end;
    Tables t;
    Views views;
    if (!PyArg_ParseTuple(args, "O!ILLL", &PyDict_Type, &arrays, &shares, &max_row, &first, &end))
        return NULL;
    if (take_arrays(arrays, false, &t, &views)) {
        t.shares_a_purpose = shares;
        const char *name = misfit_of_edges(&t);
        if (name == NULL && (first < 0 || end > t.n_kinds + t.n_rationales))
            name = "the range of nodes";
        Status status = name != NULL ? DAMAGED : OK;
        if (status == OK)
            found = merge_paths(&t, first, end, max_row, &status);
        if (status == FAILED && !PyErr_Occurred())
            PyErr_NoMemory();
        if (status == DAMAGED)
            PyErr_Format(PyExc_ValueError, "the lists of edges do not fit: %s", name ? name : "a row");
    }
    release_arrays(&views);
    return found;
}

static PyObject *module_score_table(PyObject *self, PyObject *args)
{
    (void)self;
    long long n, weight_scale;
    if (!PyArg_ParseTuple(args, "LL", &n, &weight_scale))
        return NULL;
    if (n < 1 || n > INT32_MAX || weight_scale < 1)
        return PyErr_Format(PyExc_ValueError, "there is no such table of scores");
    return score_table(n, weight_scale);
}

static PyMethodDef module_methods[] = {
    {"number_texts", number_texts, METH_VARARGS,
     "number_texts(stream, codes): number the texts in the order in which they come; the row of each one's first."},
    {"place_texts", place_texts, METH_VARARGS,
     "place_texts(data, offsets, rows, stream): copy every text to its row of a table; nowhere where that is -1."},
    {"score_table", module_score_table, METH_VARARGS,
     "score_table(n, weight_scale): the shares that the weights 0 to n - 1 stand for, uint32 in millionths."},
    {"merge_paths", module_merge_paths, METH_VARARGS,
     "merge_paths(arrays, shares_a_purpose, max_row, first, end): columns of the merged rows of some nodes, and "
     "how many targets each node has."},
    {NULL, NULL, 0, NULL},
};

static int module_exec(PyObject *module)
{
    PyObject *type = PyType_Ready(&LaterType) < 0 ? NULL : PyType_FromSpec(&graph_spec);
    if (type == NULL || PyModule_AddObjectRef(module, "Graph", type) < 0) {
        Py_XDECREF(type);
        return -1;
    }
    Py_DECREF(type);
    return PyModule_AddIntConstant(module, "VERSION", KERNEL_VERSION);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pkgraph._kernel",
    .m_doc = "The compiled kernel of pkgraph; without it NumPy answers the same.",
    .m_size = 0,
    .m_methods = module_methods,
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__kernel(void) { return PyModuleDef_Init(&module_def); }
