/* pkgraph._kernel.Graph: the arrays of a snapshot, ready to answer. */
#include "render.h"

#include <structmember.h>

enum { N_ARGUMENTS = 14, MAX_SEEDS = 100, MAX_SOURCES = 128 };
enum { AS_PICKS = 0, AS_RECORDS, AS_JSON };

static bool find_slots(PyTypeObject *type, PyObject *names, Py_ssize_t *at, int n)
{
    if (!PyTuple_Check(names) || PyTuple_GET_SIZE(names) != n) {
        PyErr_Format(PyExc_ValueError, "%s has %d fields", type->tp_name, n);
        return false;
    }
    for (int i = 0; i < n; i++) {
        PyObject *slot = PyObject_GetAttr((PyObject *)type, PyTuple_GET_ITEM(names, i));
        bool is_slot = slot != NULL && Py_IS_TYPE(slot, &PyMemberDescr_Type) &&
                       ((PyMemberDescrObject *)slot)->d_member->type == T_OBJECT_EX;
        if (is_slot)
            at[i] = ((PyMemberDescrObject *)slot)->d_member->offset;
        else if (slot != NULL)
            PyErr_Format(PyExc_TypeError, "%S of %s is no slot", PyTuple_GET_ITEM(names, i), type->tp_name);
        Py_XDECREF(slot);
        if (!is_slot)
            return false;
    }
    return true;
}

static bool take_types(Graph *self, PyObject *names)
{
    Py_ssize_t n = PyTuple_GET_SIZE(names);
    if (n > MAX_TYPES) {
        PyErr_SetString(PyExc_ValueError, "too many relation types");
        return false;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        Py_ssize_t length;
        const char *text = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(names, i), &length);
        if (text == NULL)
            return false;
        self->records.type_texts[i] = (Text){text, length, length}; /* lives as long as the name */
        self->records.types[i] = Py_NewRef(PyTuple_GET_ITEM(names, i));
        self->records.n_types = (int)i + 1;
    }
    self->all_types = (1U << n) - 1;
    return true;
}

static bool fill_graph(Graph *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"arrays", "snapshot_id", "relation_types", "shares_a_purpose", "max_row",
                            "item",   "item_fields", "path",           "path_fields",      "answer",
                            "answer_fields", "damaged", NULL};
    PyObject *arrays, *snapshot_id, *types, *item, *item_fields, *path, *path_fields, *answer, *answer_fields,
        *damaged;
    unsigned int shares;
    long long max_row;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!UO!ILO!OO!OO!OO", names, &PyDict_Type, &arrays, &snapshot_id,
                                     &PyTuple_Type, &types, &shares, &max_row, &PyType_Type, &item, &item_fields,
                                     &PyType_Type, &path, &path_fields, &PyType_Type, &answer, &answer_fields, &damaged))
        return false;
    self->damaged = Py_NewRef(damaged);
    self->snapshot_id = Py_NewRef(snapshot_id);
    self->max_row = max_row;
    self->records.item = (PyTypeObject *)Py_NewRef(item);
    self->records.path = (PyTypeObject *)Py_NewRef(path);
    self->records.answer = (PyTypeObject *)Py_NewRef(answer);
    self->records.micro = 1e6;
    if (!take_types(self, types) || !take_arrays(arrays, true, &self->tables, &self->views) ||
        !find_slots(self->records.item, item_fields, self->records.item_at, N_ITEM_FIELDS) ||
        !find_slots(self->records.answer, answer_fields, self->records.answer_at, N_ANSWER_FIELDS) ||
        !find_slots(self->records.path, path_fields, self->records.path_at, N_PATH_FIELDS))
        return false;
    self->tables.shares_a_purpose = shares;
    const char *name = misfit(&self->tables);
    if (name != NULL) {
        PyErr_Format(damaged, "%s has another length than the arrays it belongs to.", name);
        return false;
    }
    return true;
}

/* Whole or not at all: there is no graph whose arrays were not checked. */
static PyObject *graph_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    Graph *self = (Graph *)type->tp_alloc(type, 0);
    if (self != NULL && !fill_graph(self, args, kwargs))
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void graph_dealloc(Graph *self)
{
    release_arrays(&self->views);
    free_scratch(self->scratch);
    for (int i = 0; i < self->records.n_types; i++)
        Py_XDECREF(self->records.types[i]);
    Py_XDECREF(self->records.item);
    Py_XDECREF(self->records.path);
    Py_XDECREF(self->records.answer);
    Py_XDECREF(self->damaged);
    Py_XDECREF(self->snapshot_id);
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

PyObject *raise_status(const Graph *self, Status status)
{
    if (status == DAMAGED && !PyErr_Occurred())
        PyErr_SetString(self->damaged, "An array of the snapshot names what it does not hold.");
    if (status == FAILED && !PyErr_Occurred())
        PyErr_NoMemory();
    else if (status == FAILED && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
        PyErr_SetString(self->damaged, "A text of the snapshot is no UTF-8.");
    return NULL;
}

static PyObject *graph_row_of(Graph *self, PyObject *sku)
{
    Py_ssize_t length;
    if (!PyUnicode_Check(sku))
        return PyErr_Format(PyExc_TypeError, "a SKU is a text, not %s", Py_TYPE(sku)->tp_name);
    const char *key = PyUnicode_AsUTF8AndSize(sku, &length);
    if (key == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
            return NULL;
        PyErr_Clear();
        return PyLong_FromLong(-1);
    }
    return PyLong_FromLongLong(row_of(&self->tables, key, length));
}

/* The arguments of Asked, in its order; see pkgraph.recommend.compiled. */
static bool read_asked(const Graph *self, PyObject *const *a, Asked *asked)
{
    asked->steps = a[1];
    asked->k = PyLong_AsLongLong(a[3]);
    asked->types = (uint32_t)PyLong_AsUnsignedLong(a[4]);
    asked->all_types = self->all_types;
    asked->min_probability = PyFloat_AsDouble(a[5]);
    asked->categories = a[6];
    asked->has_prices = a[7] != Py_None;
    if (asked->has_prices && !PyArg_ParseTuple(a[7], "dd", &asked->min_price, &asked->max_price))
        return false;
    asked->available = a[9];
    asked->max_per_kind = PyLong_AsLongLong(a[10]);
    asked->max_per_phrase = PyLong_AsLongLong(a[11]);
    asked->include_seed_kinds = PyObject_IsTrue(a[12]) == 1;
    if (PyErr_Occurred())
        return false;
    if (asked->k < 1 || (asked->steps != Py_None && (!PyTuple_Check(asked->steps) ||
                                                     PyTuple_GET_SIZE(asked->steps) !=
                                                         PySequence_Fast_GET_SIZE(asked->skus)))) {
        PyErr_SetString(PyExc_ValueError, "k or steps are wrong");
        return false;
    }
    return true;
}

/* Products by the merged rows where they can answer, by all paths where they cannot. */
static Status find_picks(const Graph *self, const Asked *asked, Scratch *s, PyObject *unknown)
{
    const Tables *t = &self->tables;
    Status status = find_sources(t, asked, s, unknown);
    bool is_cut = true;
    bool fits = asked->types == asked->all_types && asked->min_probability <= 0 && asked->k <= self->max_row;
    if (status == OK && fits) {
        status = collect_by_rows(t, asked, s, self->max_row, &is_cut);
        if (status == OK)
            status = pick(t, asked, s);
        if (status != OK || s->n_picks == asked->k || !is_cut)
            return status;
    }
    if (status == OK)
        status = collect_by_paths(t, asked, s);
    return status == OK ? pick(t, asked, s) : status;
}

static PyObject *sources_of(const Scratch *s)
{
    PyObject *sources = PyList_New(s->n_sources);
    for (int64_t i = 0; sources != NULL && i < s->n_sources; i++) {
        PyObject *source =
            Py_BuildValue("(Li)", (long long)s->sources[i].node, s->sources[i].seed);
        if (source == NULL)
            Py_CLEAR(sources);
        else
            PyList_SET_ITEM(sources, i, source);
    }
    return sources;
}

static PyObject *answered(Graph *self, Asked *asked, Scratch *s, PyObject *unknown, long how)
{
    asked->is_shown = how == AS_JSON;
    Status status = find_picks(self, asked, s, unknown);
    if (status != OK) /* an error of a stock function is the caller's, also one that reads like damage */
        return PyErr_Occurred() ? NULL : raise_status(self, status);
    Found found = {s->choices, s->reasons, s->n_choices};
    if (how == AS_PICKS)
        return Py_BuildValue("(NNO)", as_picks(found), sources_of(s), unknown);
    if (how == AS_RECORDS)
        return as_records(self, asked, found, unknown);
    fetch_first(&self->tables, found);
    PyObject *text = as_json(self, asked, s, found, unknown, &status);
    return text != NULL ? text : raise_status(self, status);
}

/* The answer, in working memory that a question inside this one does not touch. */
static PyObject *answered_in_scratch(Graph *self, Asked *asked, long how)
{
    PyObject *unknown = PyList_New(0), *found = NULL;
    Scratch *s = self->scratch != NULL ? self->scratch : PyMem_RawCalloc(1, sizeof *s);
    self->scratch = NULL;
    if (s == NULL)
        PyErr_NoMemory();
    else if (unknown != NULL)
        found = answered(self, asked, s, unknown, how);
    if (self->scratch == NULL)
        self->scratch = s;
    else
        free_scratch(s);
    Py_XDECREF(unknown);
    return found;
}

/* simple(how, skus, k): what is asked most, without the way through Python; None where it is no such question. */
static PyObject *graph_simple(Graph *self, PyObject *const *args, Py_ssize_t n)
{
    if (n != 3)
        return PyErr_Format(PyExc_TypeError, "simple takes 3 arguments");
    PyObject *given = args[1];
    if ((!PyList_CheckExact(given) && !PyTuple_CheckExact(given)) || PySequence_Fast_GET_SIZE(given) > MAX_SEEDS ||
        !PyLong_CheckExact(args[2]))
        Py_RETURN_NONE;
    int overflows;
    long k = PyLong_AsLongAndOverflow(args[2], &overflows);
    if (overflows != 0 || k < 1 || k > self->max_row)
        Py_RETURN_NONE;
    PyObject *skus = PySequence_Tuple(given), *nothing = PyTuple_New(0);
    Asked asked = {
        .skus = skus,
        .steps = Py_None,
        .rationales = nothing,
        .categories = Py_None,
        .exclude = nothing,
        .available = Py_None,
        .k = k,
        .max_per_kind = 1,
        .max_per_phrase = 1,
        .types = self->all_types,
        .all_types = self->all_types,
    };
    bool is_ready = skus != NULL && nothing != NULL;
    PyObject *found = is_ready ? answered_in_scratch(self, &asked, PyLong_AsLong(args[0])) : NULL;
    Py_XDECREF(skus);
    Py_XDECREF(nothing);
    return found;
}

/* answer(how, *asked): how is 0 for picks, 1 for records, 2 for JSON. */
static PyObject *graph_answer(Graph *self, PyObject *const *args, Py_ssize_t n)
{
    if (n != N_ARGUMENTS)
        return PyErr_Format(PyExc_TypeError, "answer takes %d arguments", N_ARGUMENTS);
    long how = PyLong_AsLong(args[0]);
    PyObject *const *a = args + 1;
    Asked asked;
    PyObject *skus = PySequence_Tuple(a[0]), *rationales = PySequence_Tuple(a[2]), *exclude = PySequence_Tuple(a[8]);
    PyObject *found = NULL;
    if (skus != NULL && rationales != NULL && exclude != NULL) {
        asked.skus = skus;
        asked.rationales = rationales;
        asked.exclude = exclude;
        if (PySequence_Fast_GET_SIZE(skus) + PySequence_Fast_GET_SIZE(rationales) > MAX_SOURCES)
            PyErr_SetString(PyExc_ValueError, "too many seeds");
        else if (!(how == -1 && PyErr_Occurred()) && read_asked(self, a, &asked))
            found = answered_in_scratch(self, &asked, how);
    }
    Py_XDECREF(skus);
    Py_XDECREF(rationales);
    Py_XDECREF(exclude);
    return found;
}

static PyMethodDef graph_methods[] = {
    {"row_of", (PyCFunction)graph_row_of, METH_O, "Row of a SKU, -1 where the snapshot does not know it."},
    {"answer", (PyCFunction)(void (*)(void))graph_answer, METH_FASTCALL,
     "answer(how, *asked): picks (0), records (1) or JSON (2)."},
    {"simple", (PyCFunction)(void (*)(void))graph_simple, METH_FASTCALL,
     "simple(how, skus, k): the same where nothing else is asked; None where it must be asked in full."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot graph_slots[] = {
    {Py_tp_doc, "The arrays of a snapshot, ready to answer."},
    {Py_tp_new, graph_new},
    {Py_tp_dealloc, graph_dealloc},
    {Py_tp_methods, graph_methods},
    {0, NULL},
};

PyType_Spec graph_spec = {
    .name = "pkgraph._kernel.Graph",
    .basicsize = sizeof(Graph),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = graph_slots,
};
