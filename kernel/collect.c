/* From seeds to sources, and from sources to the kinds that their paths lead to. */
#include "kernel.h"

#include <string.h>

enum { WEIGHT_STEPS = 1024, AT_ONCE = 128, AHEAD = 12, SPARE = 2 };
static const uint64_t MAX_WEIGHT = UINT32_MAX;

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
    s->sources[place] = (Source){kind, seed, steps};
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
        s->sources[s->n_sources++] = (Source){t->n_kinds + row, -1, WEIGHT_STEPS};
    }
    return OK;
}

static int by_row(const void *one, const void *other)
{
    int32_t first = *(const int32_t *)one, second = *(const int32_t *)other;
    return (first > second) - (first < second);
}

enum { FEW = 16 };

static void sort_hidden(Scratch *s)
{
    if (s->n_hidden > FEW) {
        qsort(s->hidden, (size_t)s->n_hidden, sizeof(int32_t), by_row);
        return;
    }
    for (int64_t i = 1; i < s->n_hidden; i++) { /* qsort allocates and calls back */
        int32_t row = s->hidden[i];
        int64_t place = i;
        for (; place > 0 && s->hidden[place - 1] > row; place--)
            s->hidden[place] = s->hidden[place - 1];
        s->hidden[place] = row;
    }
}

/* Rows of seeds and exclusions are hidden; seeds become sources. */
static Status add_seeds(const Tables *t, const Asked *asked, Scratch *s, PyObject *skus, bool are_seeds,
                        PyObject *unknown)
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
            if (!are_seeds)
                continue;
            if (row < 0) {
                if (add_unknown(unknown, PySequence_Fast_GET_ITEM(skus, first + i)) != OK)
                    return FAILED;
            } else {
                int64_t kind = lower_half(SKU_WORD(t, row, SKU_KIND));
                if (!is_row(kind, t->n_kinds))
                    return DAMAGED;
                if (!add_source(s, kind, (int)(first + i), steps_at(asked, first + i)))
                    return FAILED;
            }
        }
    }
    return OK;
}

Status find_sources(const Tables *t, const Asked *asked, Scratch *s, PyObject *unknown)
{
    s->n_sources = s->n_hidden = 0;
    Status status = add_seeds(t, asked, s, asked->skus, true, unknown);
    if (status == OK)
        status = add_seeds(t, asked, s, asked->exclude, false, NULL);
    if (status != OK)
        return status;
    sort_hidden(s);
    return add_rationales(t, asked, s);
}

/* An empty hash table with room for n targets. */
static bool clear_targets(Scratch *s, int64_t n)
{
    int64_t size = 64;
    while (size < 2 * n)
        size *= 2;
    if (!RESERVE(s, slots, size))
        return false;
    memset(s->slots, 0, (size_t)size * sizeof(int));
    s->slots_size = size; /* what is in use; grow() makes it a power of two */
    s->n_targets = s->n_arrivals = 0;
    s->floor = 0;
    return true;
}

static inline int *slot_of(Scratch *s, int32_t kind)
{
    uint64_t mask = (uint64_t)s->slots_size - 1;
    uint64_t place = ((uint64_t)(uint32_t)kind * 0x9E3779B97F4A7C15ULL) >> 32 & mask;
    while (s->slots[place] != 0 && s->targets[s->slots[place] - 1].kind != kind)
        place = (place + 1) & mask;
    return &s->slots[place];
}

static bool rehash(Scratch *s)
{
    int64_t size = 2 * s->slots_size;
    if (!RESERVE(s, slots, size))
        return false;
    s->slots_size = size;
    memset(s->slots, 0, (size_t)size * sizeof(int));
    for (int64_t i = 0; i < s->n_targets; i++)
        *slot_of(s, s->targets[i].kind) = (int)i + 1;
    return true;
}

/* The target of that kind, made where there is none; NULL where memory is out. */
static Target *target_of(Scratch *s, int32_t kind)
{
    int *slot = slot_of(s, kind);
    if (*slot == 0) {
        if (2 * (s->n_targets + 1) > s->slots_size) {
            if (!rehash(s))
                return NULL;
            slot = slot_of(s, kind);
        }
        if (!RESERVE(s, targets, s->n_targets + 1))
            return NULL;
        s->targets[s->n_targets] = (Target){kind, 0, -1, -1, -1};
        *slot = (int)++s->n_targets;
    }
    return &s->targets[*slot - 1];
}

static Arrival *append_arrival(Scratch *s, Target *target, int source)
{
    if (!RESERVE(s, arrivals, s->n_arrivals + 1))
        return NULL;
    int at = (int)s->n_arrivals++;
    if (target->last < 0)
        target->first = at;
    else
        s->arrivals[target->last].next = at;
    target->last = at;
    s->arrivals[at] = (Arrival){source, target->kind, 0, 0, 0, 0, -1};
    return &s->arrivals[at];
}

static inline uint64_t weighed(uint64_t weight, int64_t steps)
{
    if (steps == WEIGHT_STEPS)
        return weight;
    uint64_t scaled = weight * (uint64_t)steps / WEIGHT_STEPS;
    return scaled ? scaled : 1;
}

/* Give an arrival its final weight and count it into its target. */
static void settle(Scratch *s, Target *target, int at, uint64_t weight, int64_t steps)
{
    Arrival *arrival = &s->arrivals[at];
    arrival->weight = weighed(weight < MAX_WEIGHT ? weight : MAX_WEIGHT, steps);
    target->weight += arrival->weight;
    if (target->best < 0 || arrival->weight > s->arrivals[target->best].weight)
        target->best = at;
}

/* Count a merged row; there is room for what it adds. Its edge is looked up only where it is shown. */
static inline void add_row(const Tables *t, Scratch *s, int source, int64_t row, int64_t steps)
{
    int32_t kind = t->row_target[row];
    int *slot = slot_of(s, kind);
    int at = (int)s->n_arrivals++;
    uint64_t weight = weighed(t->row_weight[row], steps);
    s->arrivals[at] = (Arrival){source, kind, -1, (int32_t)row, weight, 0, -1};
    if (*slot == 0) {
        s->targets[s->n_targets] = (Target){kind, weight, at, at, at};
        *slot = (int)++s->n_targets;
        return;
    }
    Target *target = &s->targets[*slot - 1];
    s->arrivals[target->last].next = at;
    target->last = at;
    target->weight += weight;
    if (weight > s->arrivals[target->best].weight)
        target->best = at;
}

/* Ask for the rows of a node: all targets and weights, and the edges of those that are likely to be shown. */
static void fetch_rows(const Tables *t, int64_t start, int64_t end)
{
    for (int64_t row = start; row < end; row += 16) {
        FETCH(&t->row_target[row]);
        FETCH(&t->row_weight[row]);
    }
    for (int64_t row = start; row < end && row <= start + 15; row += 15) {
        FETCH(&t->row_edge[row]);
        FETCH(&t->row_via[row]);
    }
}

/* As many targets as one source has at or above this weight, the answer has too. */
static void raise_floor(const Tables *t, const Asked *asked, Scratch *s, int64_t start, int64_t end, int64_t steps)
{
    int64_t wanted = asked->k + s->n_sources + SPARE;
    if (end - start < wanted)
        return;
    uint64_t weight = weighed(t->row_weight[start + wanted - 1], steps);
    if (weight > s->floor)
        s->floor = weight;
}

/* The merged rows of a node; false where they are damaged. */
static bool rows_of(const Tables *t, int64_t node, int64_t *start, int64_t *end)
{
    if (node >= t->n_kinds)
        return SLICE(t, row_offsets, node, t->n_row_target, start, end);
    uint64_t word = KIND_WORD(t, node, KIND_ROWS);
    *start = start_in(word);
    *end = *start + length_in(word);
    return *end <= t->n_row_target;
}

Status collect_by_rows(const Tables *t, const Asked *asked, Scratch *s, int64_t max_row, bool *is_cut)
{
    int64_t total = 0, start = 0, end = 0;
    *is_cut = false;
    for (int64_t i = 0; i < s->n_sources; i++) {
        if (!rows_of(t, s->sources[i].node, &start, &end) || end - start > max_row)
            return DAMAGED;
        *is_cut |= end - start >= max_row;
        total += end - start;
        fetch_rows(t, start, end);
    }
    if (!clear_targets(s, total) || !RESERVE(s, arrivals, total) || !RESERVE(s, targets, total))
        return FAILED;
    for (int64_t i = 0; i < s->n_sources; i++) {
        rows_of(t, s->sources[i].node, &start, &end);
        for (int64_t row = start; row < end; row++) {
            if (!is_row(t->row_target[row], t->n_kinds))
                return DAMAGED;
            add_row(t, s, (int)i, row, s->sources[i].steps);
        }
        raise_floor(t, asked, s, start, end, s->sources[i].steps);
    }
    return OK;
}

typedef struct {
    const Tables *t;
    const Asked *asked;
    Scratch *s;
    int source;
    bool filters;
} Walk;

static bool passes(const Walk *walk, int64_t edge, int64_t via)
{
    const Tables *t = walk->t;
    double share = t->edge_probability[edge];
    if (via >= 0)
        share *= t->edge_probability[via];
    return share >= walk->asked->min_probability && (walk->asked->types >> t->edge_type[edge] & 1);
}

static Status add_path(const Walk *walk, int32_t kind, int64_t edge, int64_t via, uint32_t weight)
{
    Scratch *s = walk->s;
    if (!is_row(kind, walk->t->n_kinds) || (walk->filters && walk->t->edge_type[edge] >= MAX_TYPES))
        return DAMAGED;
    if (walk->filters && !passes(walk, edge, via))
        return OK;
    Target *target = target_of(s, kind);
    if (target == NULL)
        return FAILED;
    Arrival *arrival = target->last < 0 ? NULL : &s->arrivals[target->last];
    if (arrival == NULL || arrival->source != walk->source) {
        arrival = append_arrival(s, target, walk->source);
        if (arrival == NULL)
            return FAILED;
    }
    bool is_first = weight == arrival->heaviest &&
                    (edge < arrival->edge || (edge == arrival->edge && via < arrival->via));
    if (weight > arrival->heaviest || is_first) {
        arrival->heaviest = weight;
        arrival->edge = (int32_t)edge;
        arrival->via = (int32_t)via;
    }
    arrival->weight += weight;
    return OK;
}

/* Ask for what will be read of the edge that is read AHEAD steps later. */
static void fetch_edge(const Tables *t, const int32_t *edges, int64_t at, int64_t end)
{
    if (at + AHEAD >= end)
        return;
    int64_t edge = edges[at + AHEAD];
    if (!is_row(edge, t->n_edges))
        return;
    FETCH(&t->edge_source[edge]);
    FETCH(&t->edge_inferred_weight[edge]);
}

static void fetch_edge_of_rationale(const Tables *t, int64_t at, int64_t end)
{
    fetch_edge(t, t->rationale_edges, at, end);
    if (at + AHEAD >= end || !is_row(t->rationale_edges[at + AHEAD], t->n_edges))
        return;
    FETCH(&t->edge_target[t->rationale_edges[at + AHEAD]]);
    FETCH(&t->edge_weight[t->rationale_edges[at + AHEAD]]);
    FETCH(&t->edge_type[t->rationale_edges[at + AHEAD]]);
}

static Status walk_kind(const Walk *walk, int64_t kind)
{
    const Tables *t = walk->t;
    int64_t start, end;
    Status status = OK;
    if (!SLICE(t, edge_offsets, kind, t->n_edges, &start, &end))
        return DAMAGED;
    for (int64_t edge = start; edge < end && status == OK; edge++)
        status = add_path(walk, t->edge_target[edge], edge, -1, t->edge_weight[edge]);
    if (status != OK || !SLICE(t, backward_offsets, kind, t->n_backward_edges, &start, &end))
        return status != OK ? status : DAMAGED;
    for (int64_t i = start; i < end && status == OK; i++) {
        int64_t edge = t->backward_edges[i];
        fetch_edge(t, t->backward_edges, i, end);
        if (!is_row(edge, t->n_edges))
            return DAMAGED;
        status = add_path(walk, t->edge_source[edge], edge, -1, t->edge_inferred_weight[edge]);
    }
    if (status != OK || !SLICE(t, shared_offsets, kind, t->n_shared_edge, &start, &end))
        return status != OK ? status : DAMAGED;
    for (int64_t i = start; i < end && status == OK; i++) {
        int64_t edge = t->shared_edge[i], via = t->shared_via[i];
        if (!is_row(edge, t->n_edges) || !is_row(via, t->n_edges))
            return DAMAGED;
        status = add_path(walk, t->edge_target[edge], edge, via, t->shared_weight[i]);
    }
    return status;
}

static Status walk_rationale(const Walk *walk, int64_t rationale)
{
    const Tables *t = walk->t;
    int64_t start, end;
    Status status = OK;
    if (!SLICE(t, rationale_edge_offsets, rationale, t->n_rationale_edges, &start, &end))
        return DAMAGED;
    for (int64_t i = start; i < end && status == OK; i++) {
        int64_t edge = t->rationale_edges[i];
        fetch_edge_of_rationale(t, i, end);
        if (!is_row(edge, t->n_edges) || t->edge_type[edge] >= MAX_TYPES)
            return DAMAGED;
        status = add_path(walk, t->edge_target[edge], edge, -1, t->edge_weight[edge]);
        if (status == OK && t->edge_source[edge] >= 0 && (t->shares_a_purpose >> t->edge_type[edge] & 1))
            status = add_path(walk, t->edge_source[edge], edge, -1, t->edge_inferred_weight[edge]);
    }
    return status;
}

Status collect_by_paths(const Tables *t, const Asked *asked, Scratch *s)
{
    bool filters = asked->types != asked->all_types || asked->min_probability > 0;
    if (!clear_targets(s, 512))
        return FAILED;
    for (int64_t i = 0; i < s->n_sources; i++) {
        Walk walk = {t, asked, s, (int)i, filters};
        int64_t node = s->sources[i].node, first = s->n_arrivals;
        Status status = node < t->n_kinds ? walk_kind(&walk, node) : walk_rationale(&walk, node - t->n_kinds);
        if (status != OK)
            return status;
        for (int64_t at = first; at < s->n_arrivals; at++) {
            Target *target = &s->targets[*slot_of(s, s->arrivals[at].target) - 1];
            settle(s, target, (int)at, s->arrivals[at].weight, s->sources[i].steps);
        }
    }
    return OK;
}
