/* What was found as Python records. */
#include "render.h"

#include <math.h>
#include <string.h>

PyObject *new_text(Text text) { return PyUnicode_DecodeUTF8(text.start, text.length, "strict"); }

/* "-17" */
static char *put_position(char *out, int32_t position)
{
    char digits[12];
    uint32_t left = position < 0 ? -(uint32_t)position : (uint32_t)position;
    int n = 0;
    do {
        digits[n++] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    *out++ = '-';
    if (position < 0)
        *out++ = '-';
    while (n > 0)
        *out++ = digits[--n];
    return out;
}

static PyObject *relation_id(Text response, int32_t position)
{
    char buffer[256];
    if (response.length > (int64_t)sizeof buffer - 16) {
        PyObject *name = new_text(response);
        PyObject *found =
            name == NULL ? NULL : PyUnicode_FromFormat("%U-%d", name, (int)position);
        Py_XDECREF(name);
        return found;
    }
    memcpy(buffer, response.start, (size_t)response.length);
    char *end = put_position(buffer + response.length, position);
    return PyUnicode_DecodeUTF8(buffer, end - buffer, "strict");
}

/* A record of that class with these fields, whose references it takes; an error where one is NULL. */
PyObject *record(PyTypeObject *type, const Py_ssize_t *at, PyObject **fields, int n)
{
    bool is_whole = true;
    for (int i = 0; i < n; i++)
        is_whole &= fields[i] != NULL;
    PyObject *made = is_whole ? type->tp_alloc(type, 0) : NULL;
    for (int i = 0; i < n; i++) {
        if (made == NULL)
            Py_XDECREF(fields[i]);
        else
            *(PyObject **)((char *)made + at[i]) = fields[i];
    }
    return made;
}

/* What all items of an answer are made from. */
typedef struct {
    const Tables *t;
    const Records *r;
    PyObject *skus; /* a tuple, as they were given */
    Found found;
    bool is_damaged;
} Making;

static PyObject *path_record(Making *making, const Reason *reason, int32_t kind)
{
    const Tables *t = making->t;
    const Records *r = making->r;
    bool has_seed = reason->seed >= 0;
    Way way;
    Text title = {"", 0, 0};
    if (!read_way(t, r, reason, kind, &way) || (has_seed && !TEXT_IN(t, kind_title, KIND_WORD(t, reason->kind, KIND_TITLE), &title))) {
        making->is_damaged = true;
        return NULL;
    }
    PyObject *fields[N_PATH_FIELDS] = {
        Py_NewRef(has_seed ? PyTuple_GET_ITEM(making->skus, reason->seed) : Py_None),
        has_seed ? new_text(title) : Py_NewRef(Py_None),
        new_text(way.rationale),
        new_text(way.rationale_id),
        Py_NewRef(r->types[way.type]),
        new_text(way.explanation),
        PyFloat_FromDouble((double)way.micro_probability / r->micro),
        relation_id(way.response, way.position),
        PyBool_FromLong(way.is_reversed),
        way.via < 0 ? Py_NewRef(Py_None) : relation_id(way.via_response, way.via_position),
        PyLong_FromLong(way.edge),
    };
    return record(r->path, r->path_at, fields, N_PATH_FIELDS);
}

static PyObject *paths_of(Making *making, const Choice *choice)
{
    PyObject *paths = PyTuple_New(choice->end - choice->first);
    for (int32_t i = choice->first; paths != NULL && i < choice->end; i++) {
        PyObject *path = path_record(making, &making->found.reasons[i], choice->kind);
        if (path == NULL)
            Py_CLEAR(paths);
        else
            PyTuple_SET_ITEM(paths, i - choice->first, path);
    }
    return paths;
}

static PyObject *item_record(Making *making, const Choice *choice)
{
    const Tables *t = making->t;
    const Records *r = making->r;
    Text sku, title, kind, category;
    if (!TEXT_IN(t, sku_id, SKU_WORD(t, choice->sku_row, SKU_ID), &sku) ||
        !TEXT_IN(t, sku_title, SKU_WORD(t, choice->sku_row, SKU_TITLE), &title) ||
        !TEXT_IN(t, kind_title, KIND_WORD(t, choice->kind, KIND_TITLE), &kind) ||
        !TEXT(t, category_name, upper_half(KIND_WORD(t, choice->kind, KIND_CATEGORY_AND_BEST)), &category)) {
        making->is_damaged = true;
        return NULL;
    }
    PyObject *paths = paths_of(making, choice);
    if (paths == NULL)
        return NULL;
    double price = price_of(t, choice->sku_row);
    PyObject *first = PyTuple_GET_ITEM(paths, 0);
    PyObject *probability = *(PyObject **)((char *)first + r->path_at[6]);
    PyObject *fields[N_ITEM_FIELDS] = {
        new_text(sku),
        new_text(title),
        new_text(kind),
        new_text(category),
        isfinite(price) ? PyFloat_FromDouble(price) : Py_NewRef(Py_None),
        PyFloat_FromDouble((double)score_of(t, choice->weight) / r->micro),
        Py_NewRef(probability),
        paths,
    };
    return record(r->item, r->item_at, fields, N_ITEM_FIELDS);
}

PyObject *as_items(const Tables *t, const Records *r, PyObject *skus, Found found, Status *status)
{
    Making making = {t, r, skus, found, false};
    PyObject *items = PyTuple_New(found.n_choices);
    for (int64_t i = 0; items != NULL && i < found.n_choices; i++) {
        fetch_next(t, found, i);
        PyObject *item = item_record(&making, &found.choices[i]);
        if (item == NULL)
            Py_CLEAR(items);
        else
            PyTuple_SET_ITEM(items, i, item);
    }
    *status = items != NULL ? OK : making.is_damaged ? DAMAGED : FAILED;
    return items;
}

/* (sku row, kind, weight, ((source, edge, via, weight), ...)) of every product. */
PyObject *as_picks(Found found)
{
    PyObject *picks = PyList_New(found.n_choices);
    for (int64_t i = 0; picks != NULL && i < found.n_choices; i++) {
        const Choice *choice = &found.choices[i];
        PyObject *ways = PyTuple_New(choice->end - choice->first);
        for (int32_t j = choice->first; ways != NULL && j < choice->end; j++) {
            const Reason *reason = &found.reasons[j];
            PyObject *way = Py_BuildValue("(iiiK)", reason->source, reason->edge, reason->via,
                                          (unsigned long long)reason->weight);
            if (way == NULL)
                Py_CLEAR(ways);
            else
                PyTuple_SET_ITEM(ways, j - choice->first, way);
        }
        PyObject *pick = ways == NULL ? NULL
                                      : Py_BuildValue("(iiKN)", choice->sku_row, choice->kind,
                                                      (unsigned long long)choice->weight, ways);
        if (pick == NULL)
            Py_CLEAR(picks);
        else
            PyList_SET_ITEM(picks, i, pick);
    }
    return picks;
}
