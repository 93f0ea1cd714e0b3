/* From SKUs to rows, and from the rows of seeds to the nodes where paths start. */
#include "kernel.h"

#include <string.h>

enum { AT_ONCE = 128 };

/* FNV-1a, 64 bits; see pkgraph.snapshot.slots. */
static uint64_t hash_of(const char *key, int64_t length)
{
    uint64_t value = 14695981039346656037ULL;
    for (int64_t i = 0; i < length; i++)
        value = (value ^ (uint8_t)key[i]) * 1099511628211ULL;
    return value;
}

static uint64_t home_of(const Tables *t, uint64_t hash)
{
    uint64_t size = 1ULL << (63 - __builtin_clzll((uint64_t)t->n_sku_slots));
    return (hash ^ hash >> 32) & (size - 1);
}

/* The next slot from `place` on whose upper half fits the hash, -1 where an empty one comes first. */
static int64_t next_slot(const Tables *t, uint64_t hash, int64_t place)
{
    for (; place < t->n_sku_slots; place++) {
        uint64_t slot = t->sku_slots[place];
        if ((slot & UINT32_MAX) == 0)
            return -1;
        if (slot >> 32 == hash >> 32)
            return place;
    }
    return -1;
}

static bool is_key(const Tables *t, int64_t row, const char *key, int64_t length)
{
    Text text;
    return is_row(row, t->n_skus) && TEXT_IN(t, sku_id, SKU_WORD(t, row, SKU_ID), &text) && text.length == length &&
           memcmp(text.start, key, (size_t)length) == 0;
}

static int64_t row_from(const Tables *t, uint64_t hash, int64_t place, const char *key, int64_t length)
{
    while (place >= 0) {
        int64_t row = (int64_t)(t->sku_slots[place] & UINT32_MAX) - 1;
        if (is_key(t, row, key, length))
            return row;
        place = next_slot(t, hash, place + 1);
    }
    return -1;
}

int64_t row_of(const Tables *t, const char *key, int64_t length)
{
    uint64_t hash = hash_of(key, length);
    return row_from(t, hash, next_slot(t, hash, (int64_t)home_of(t, hash)), key, length);
}

typedef struct {
    const char *key;
    Py_ssize_t length;
    uint64_t hash;
    int64_t place, row;
} Lookup;

/* The UTF-8 of a SKU; a text with half a character in it is no SKU and gets length -1. */
static Status key_of(PyObject *sku, Lookup *lookup)
{
    if (!PyUnicode_Check(sku)) {
        PyErr_Format(PyExc_TypeError, "a SKU is a text, not %s", Py_TYPE(sku)->tp_name);
        return FAILED;
    }
    lookup->key = PyUnicode_AsUTF8AndSize(sku, &lookup->length);
    if (lookup->key == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
            return FAILED;
        PyErr_Clear();
        lookup->length = -1;
    }
    return OK;
}

/* Rows of many SKUs at once: what one lookup waits for in memory, the others wait for too. */
static void look_up(const Tables *t, Lookup *lookups, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        lookups[i].row = -1;
        if (lookups[i].length < 0)
            continue;
        lookups[i].hash = hash_of(lookups[i].key, lookups[i].length);
        FETCH(&t->sku_slots[home_of(t, lookups[i].hash)]);
    }
    for (int64_t i = 0; i < n; i++) {
        if (lookups[i].length < 0)
            continue;
        int64_t place = next_slot(t, lookups[i].hash, (int64_t)home_of(t, lookups[i].hash));
        int64_t row = place < 0 ? -1 : (int64_t)(t->sku_slots[place] & UINT32_MAX) - 1;
        lookups[i].place = place;
        if (is_row(row, t->n_skus))
            FETCH(&SKU_WORD(t, row, SKU_ID));
    }
    for (int64_t i = 0; i < n; i++) {
        if (lookups[i].length < 0 || lookups[i].place < 0)
            continue;
        int64_t row = (int64_t)(t->sku_slots[lookups[i].place] & UINT32_MAX) - 1;
        if (!is_row(row, t->n_skus))
            continue;
        int64_t start = start_in(SKU_WORD(t, row, SKU_ID)), kind = lower_half(SKU_WORD(t, row, SKU_KIND));
        if (is_row(start, t->n_sku_id_bytes))
            FETCH(&t->sku_id_bytes[start]);
        if (is_row(kind, t->n_kinds))
            FETCH(&KIND_WORD(t, kind, KIND_ROWS));
    }
    for (int64_t i = 0; i < n; i++)
        if (lookups[i].length >= 0)
            lookups[i].row =
                row_from(t, lookups[i].hash, lookups[i].place, lookups[i].key, lookups[i].length);
}

/* One source a kind, in the order of the kinds: of two seeds of a kind the heavier, of equals the first. */
static bool add_source(Scratch *s, int64_t kind, int seed, int64_t steps)
{
    int64_t place = s->n_sources;
    while (place > 0 && s->sources[place - 1].node > kind)
        place--;
    if (place > 0 && s->sources[place - 1].node == kind) {
        if (s->sources[place - 1].steps < steps) {
            s->sources[place - 1].seed = seed;
            s->sources[place - 1].steps = steps;
        }
        return true;
    }
    if (!RESERVE(s, sources, s->n_sources + 1))
        return false;
    memmove(&s->sources[place + 1], &s->sources[place], (size_t)(s->n_sources - place) * sizeof(Source));
    s->sources[place] = (Source){.node = kind, .seed = seed, .steps = steps};
    s->n_sources++;
    return true;
}

static Status add_unknown(PyObject *unknown, PyObject *sku)
{
    int is_there = PySequence_Contains(unknown, sku);
    if (is_there < 0 || (!is_there && PyList_Append(unknown, sku) < 0))
        return FAILED;
    return OK;
}

static int64_t steps_at(const Asked *asked, int64_t place)
{
    return asked->steps == Py_None ? WEIGHT_STEPS : PyLong_AsLongLong(PyTuple_GET_ITEM(asked->steps, place));
}

static Status add_rationales(const Tables *t, const Asked *asked, Scratch *s)
{
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(asked->rationales); i++) {
        int64_t row = PyLong_AsLongLong(PySequence_Fast_GET_ITEM(asked->rationales, i));
        if (!is_row(row, t->n_rationales))
            return DAMAGED;
        if (!RESERVE(s, sources, s->n_sources + 1))
            return FAILED;
        s->sources[s->n_sources++] = (Source){.node = t->n_kinds + row, .seed = -1, .steps = WEIGHT_STEPS};
    }
    return OK;
}

static int by_row(const void *one, const void *other)
{
    int32_t first = *(const int32_t *)one, second = *(const int32_t *)other;
    return (first > second) - (first < second);
}

/* A seed becomes a source, or is named as unknown. */
static Status add_seed(const Tables *t, const Asked *asked, Scratch *s, int64_t row, Py_ssize_t place,
                       PyObject *unknown)
{
    if (row < 0)
        return add_unknown(unknown, PySequence_Fast_GET_ITEM(asked->skus, place));
    int64_t kind = lower_half(SKU_WORD(t, row, SKU_KIND));
    if (!is_row(kind, t->n_kinds))
        return DAMAGED;
    return add_source(s, kind, (int)place, steps_at(asked, place)) ? OK : FAILED;
}

/* Rows of seeds and exclusions are hidden. `unknown` is given with the seeds. */
static Status add_skus(const Tables *t, const Asked *asked, Scratch *s, PyObject *skus, PyObject *unknown)
{
    Lookup lookups[AT_ONCE];
    Py_ssize_t n = PySequence_Fast_GET_SIZE(skus);
    if (!RESERVE(s, hidden, s->n_hidden + n))
        return FAILED;
    for (Py_ssize_t first = 0; first < n; first += AT_ONCE) {
        Py_ssize_t count = n - first < AT_ONCE ? n - first : AT_ONCE;
        for (Py_ssize_t i = 0; i < count; i++)
            if (key_of(PySequence_Fast_GET_ITEM(skus, first + i), &lookups[i]) != OK)
                return FAILED;
        look_up(t, lookups, count);
        for (Py_ssize_t i = 0; i < count; i++) {
            int64_t row = lookups[i].row;
            if (row >= 0)
                s->hidden[s->n_hidden++] = (int32_t)row;
            Status status = unknown == NULL ? OK : add_seed(t, asked, s, row, first + i, unknown);
            if (status != OK)
                return status;
        }
    }
    return OK;
}

Status find_sources(const Tables *t, const Asked *asked, Scratch *s, PyObject *unknown)
{
    s->n_sources = s->n_hidden = 0;
    Status status = add_skus(t, asked, s, asked->skus, unknown);
    if (status == OK)
        status = add_skus(t, asked, s, asked->exclude, NULL);
    if (status != OK)
        return status;
    if (s->n_hidden > FEW_HIDDEN)
        qsort(s->hidden, (size_t)s->n_hidden, sizeof(int32_t), by_row);
    return add_rationales(t, asked, s);
}

