/* What a pick says, looked up and checked; and as Python records. */
#include "render.h"

#include <math.h>
#include <string.h>

/* Ask for the memory that the answer will read: ten products wait for it together. */
static void fetch_ways(const Tables *t, const Scratch *s, int first)
{
    for (int at = first; at >= 0; at = s->arrivals[at].next) {
        int32_t edge = s->arrivals[at].edge;
        FETCH(&t->edge_rationale[edge]);
        FETCH(&t->edge_type[edge]);
        FETCH(&t->edge_probability[edge]);
        FETCH(&t->explanation_at[edge]);
        FETCH(&t->edge_statement_offsets[edge]);
    }
}

static void fetch_texts(const Tables *t, const Scratch *s, int first)
{
    for (int at = first; at >= 0; at = s->arrivals[at].next) {
        int32_t edge = s->arrivals[at].edge;
        int64_t statement = t->edge_statement_offsets[edge], rationale = t->edge_rationale[edge];
        if (is_row(t->explanation_at[edge], t->n_explanation_bytes))
            FETCH(&t->explanation_bytes[t->explanation_at[edge]]);
        if (is_row(statement, t->n_statement_response)) {
            FETCH(&t->statement_response[statement]);
            FETCH(&t->statement_position[statement]);
        }
        if (is_row(rationale, t->n_rationales)) {
            FETCH(&t->rationale_text_at[rationale]);
            FETCH(&t->rationale_id_at[rationale]);
        }
    }
}

static void fetch_sources(const Tables *t, const Scratch *s, int first)
{
    for (int at = first; at >= 0; at = s->arrivals[at].next) {
        int64_t statement = t->edge_statement_offsets[s->arrivals[at].edge];
        int64_t rationale = t->edge_rationale[s->arrivals[at].edge];
        if (is_row(statement, t->n_statement_response) &&
            is_row(t->statement_response[statement], t->n_response_id_at - 1))
            FETCH(&t->response_id_at[t->statement_response[statement]]);
        if (is_row(rationale, t->n_rationales)) {
            if (is_row(t->rationale_text_at[rationale], t->n_rationale_text_bytes))
                FETCH(&t->rationale_text_bytes[t->rationale_text_at[rationale]]);
            if (is_row(t->rationale_id_at[rationale], t->n_rationale_id_bytes))
                FETCH(&t->rationale_id_bytes[t->rationale_id_at[rationale]]);
        }
    }
}

void fetch_picks(const Tables *t, const Scratch *s)
{
    for (int64_t i = 0; i < s->n_picks; i++) {
        int32_t row = s->picks[i].sku_row;
        const Target *target = &s->targets[s->picks[i].target];
        FETCH(&t->sku_id_at[row]);
        FETCH(&t->sku_title_at[row]);
        FETCH(&t->sku_price[row]);
        FETCH(&t->kind_title_at[target->kind]);
        FETCH(&t->kind_category[target->kind]);
        fetch_ways(t, s, target->first);
    }
    for (int64_t i = 0; i < s->n_picks; i++) {
        int32_t row = s->picks[i].sku_row;
        const Target *target = &s->targets[s->picks[i].target];
        int64_t kind_title = t->kind_title_at[target->kind];
        if (is_row(t->sku_id_at[row], t->n_sku_id_bytes))
            FETCH(&t->sku_id_bytes[t->sku_id_at[row]]);
        if (is_row(t->sku_title_at[row], t->n_sku_title_bytes))
            FETCH(&t->sku_title_bytes[t->sku_title_at[row]]);
        if (is_row(kind_title, t->n_kind_title_bytes))
            FETCH(&t->kind_title_bytes[kind_title]);
        fetch_texts(t, s, target->first);
    }
    for (int64_t i = 0; i < s->n_picks; i++)
        fetch_sources(t, s, s->targets[s->picks[i].target].first);
}

int64_t score_of(const Tables *t, uint64_t weight)
{
    uint64_t last = (uint64_t)t->n_scores - 1;
    return t->scores[weight < last ? weight : last];
}

int sorted_arrivals(const Scratch *s, const Target *target, int *places, int room)
{
    int n = 0;
    for (int at = target->first; at >= 0 && n < room; at = s->arrivals[at].next) {
        int place = n++;
        while (place > 0 && s->arrivals[places[place - 1]].weight < s->arrivals[at].weight) {
            places[place] = places[place - 1];
            place--;
        }
        places[place] = at;
    }
    return n;
}

/* Row of the surest statement of an edge, and the answer it was read from. */
static bool surest(const Tables *t, int64_t edge, int32_t *statement, Text *response)
{
    int64_t start, end;
    if (!SLICE(t, edge_statement_offsets, edge, t->n_statement_response, &start, &end) || start >= end)
        return false;
    *statement = (int32_t)start;
    return TEXT(t, response_id, t->statement_response[start], response);
}

/* Probability that the statements of a path hold, in millionths; false where it is no share. */
bool probability_of(const Tables *t, const Records *records, const Arrival *arrival, int64_t *micro)
{
    double share = t->edge_probability[arrival->edge];
    if (arrival->via >= 0)
        share *= t->edge_probability[arrival->via];
    if (!(share >= 0 && share <= 1))
        return false;
    *micro = (int64_t)nearbyint(share * records->micro);
    return true;
}

bool next_way(const Tables *t, const Records *records, const Scratch *s, int at, int32_t kind, Way *way)
{
    const Arrival *arrival = &s->arrivals[at];
    int64_t edge = arrival->edge, rationale = t->edge_rationale[edge];
    way->arrival = at;
    way->edge = arrival->edge;
    way->via = arrival->via;
    way->type = t->edge_type[edge];
    way->is_reversed = t->edge_target[edge] != kind;
    if (way->type >= records->n_types || !probability_of(t, records, arrival, &way->micro_probability))
        return false;
    if (arrival->via >= 0 && !surest(t, arrival->via, &way->via_statement, &way->via_response))
        return false;
    return TEXT(t, rationale_text, rationale, &way->rationale) &&
           TEXT(t, rationale_id, rationale, &way->rationale_id) &&
           TEXT(t, explanation, edge, &way->explanation) && surest(t, edge, &way->statement, &way->response);
}

static PyObject *new_text(Text text) { return PyUnicode_DecodeUTF8(text.start, text.length, "strict"); }

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

static PyObject *relation_id(const Tables *t, Text response, int32_t statement)
{
    char buffer[256];
    if (response.length > (int64_t)sizeof buffer - 16) {
        PyObject *name = new_text(response);
        PyObject *found =
            name == NULL ? NULL : PyUnicode_FromFormat("%U-%d", name, (int)t->statement_position[statement]);
        Py_XDECREF(name);
        return found;
    }
    memcpy(buffer, response.start, (size_t)response.length);
    char *end = put_position(buffer + response.length, t->statement_position[statement]);
    return PyUnicode_DecodeUTF8(buffer, end - buffer, "strict");
}

/* A record of that class with these fields, whose references it takes; an error where one is NULL. */
static PyObject *record(PyTypeObject *type, const Py_ssize_t *at, PyObject **fields, int n)
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

static PyObject *new_none(void) { return Py_NewRef(Py_None); }

static PyObject *path_record(const Tables *t, const Records *r, const Asked *asked, const Scratch *s, int at,
                             int32_t kind, PyObject **seed_kinds, bool *is_damaged)
{
    Way way;
    if (!next_way(t, r, s, at, kind, &way)) {
        *is_damaged = true;
        return NULL;
    }
    const Source *source = &s->sources[s->arrivals[at].source];
    PyObject **seed_kind = &seed_kinds[s->arrivals[at].source];
    if (*seed_kind == NULL && source->seed >= 0) {
        Text title;
        if (!TEXT(t, kind_title, source->node, &title)) {
            *is_damaged = true;
            return NULL;
        }
        *seed_kind = new_text(title);
        if (*seed_kind == NULL)
            return NULL;
    }
    PyObject *seed = source->seed < 0 ? Py_None : PySequence_Fast_GET_ITEM(asked->skus, source->seed);
    PyObject *fields[N_PATH_FIELDS] = {
        Py_NewRef(seed),
        source->seed < 0 ? new_none() : Py_NewRef(*seed_kind),
        new_text(way.rationale),
        new_text(way.rationale_id),
        Py_NewRef(r->types[way.type]),
        new_text(way.explanation),
        PyFloat_FromDouble((double)way.micro_probability / r->micro),
        relation_id(t, way.response, way.statement),
        PyBool_FromLong(way.is_reversed),
        way.via < 0 ? new_none() : relation_id(t, way.via_response, way.via_statement),
        PyLong_FromLong(way.edge),
    };
    return record(r->path, r->path_at, fields, N_PATH_FIELDS);
}

static PyObject *paths_of(const Tables *t, const Records *r, const Asked *asked, const Scratch *s,
                          const Target *target, PyObject **seed_kinds, bool *is_damaged)
{
    int places[128];
    int n = sorted_arrivals(s, target, places, 128);
    PyObject *paths = PyTuple_New(n);
    for (int i = 0; paths != NULL && i < n; i++) {
        PyObject *path = path_record(t, r, asked, s, places[i], target->kind, seed_kinds, is_damaged);
        if (path == NULL) {
            Py_DECREF(paths);
            return NULL;
        }
        PyTuple_SET_ITEM(paths, i, path);
    }
    return paths;
}

static PyObject *item_record(const Tables *t, const Records *r, const Asked *asked, const Scratch *s,
                             const Pick *pick, PyObject **seed_kinds, bool *is_damaged)
{
    const Target *target = &s->targets[pick->target];
    Text sku, title, kind, category;
    if (!TEXT(t, sku_id, pick->sku_row, &sku) || !TEXT(t, sku_title, pick->sku_row, &title) ||
        !TEXT(t, kind_title, target->kind, &kind) ||
        !TEXT(t, category_name, t->kind_category[target->kind], &category)) {
        *is_damaged = true;
        return NULL;
    }
    PyObject *paths = paths_of(t, r, asked, s, target, seed_kinds, is_damaged);
    if (paths == NULL)
        return NULL;
    double price = t->sku_price[pick->sku_row];
    PyObject *first = PyTuple_GET_ITEM(paths, 0);
    PyObject *probability = *(PyObject **)((char *)first + r->path_at[6]);
    PyObject *fields[N_ITEM_FIELDS] = {
        new_text(sku),
        new_text(title),
        new_text(kind),
        new_text(category),
        isfinite(price) ? PyFloat_FromDouble(price) : new_none(),
        PyFloat_FromDouble((double)score_of(t, target->weight) / r->micro),
        Py_NewRef(probability),
        paths,
    };
    return record(r->item, r->item_at, fields, N_ITEM_FIELDS);
}

PyObject *as_records(const Tables *t, const Records *r, const Asked *asked, Scratch *s, Status *status)
{
    bool is_damaged = false;
    PyObject **seed_kinds = PyMem_Calloc((size_t)s->n_sources + 1, sizeof *seed_kinds);
    PyObject *items = seed_kinds == NULL ? PyErr_NoMemory() : PyTuple_New(s->n_picks);
    for (int64_t i = 0; items != NULL && i < s->n_picks; i++) {
        PyObject *item = item_record(t, r, asked, s, &s->picks[i], seed_kinds, &is_damaged);
        if (item == NULL)
            Py_CLEAR(items);
        else
            PyTuple_SET_ITEM(items, i, item);
    }
    for (int64_t i = 0; seed_kinds != NULL && i < s->n_sources; i++)
        Py_XDECREF(seed_kinds[i]);
    PyMem_Free(seed_kinds);
    *status = items != NULL ? OK : is_damaged ? DAMAGED : FAILED;
    return items;
}

/* (sku row, kind, weight, ((source, edge, via, weight), ...)) of every pick. */
PyObject *as_picks(const Scratch *s)
{
    PyObject *picks = PyList_New(s->n_picks);
    for (int64_t i = 0; picks != NULL && i < s->n_picks; i++) {
        const Target *target = &s->targets[s->picks[i].target];
        int places[128];
        int n = sorted_arrivals(s, target, places, 128);
        PyObject *ways = PyTuple_New(n);
        for (int j = 0; ways != NULL && j < n; j++) {
            const Arrival *a = &s->arrivals[places[j]];
            PyObject *way = Py_BuildValue("(iiiK)", a->source, a->edge, a->via, (unsigned long long)a->weight);
            if (way == NULL)
                Py_CLEAR(ways);
            else
                PyTuple_SET_ITEM(ways, j, way);
        }
        PyObject *pick = ways == NULL ? NULL
                                      : Py_BuildValue("(iiKN)", s->picks[i].sku_row, target->kind,
                                                      (unsigned long long)target->weight, ways);
        if (pick == NULL)
            Py_CLEAR(picks);
        else
            PyList_SET_ITEM(picks, i, pick);
    }
    return picks;
}
