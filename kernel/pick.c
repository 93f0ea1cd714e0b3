/* From weighed kinds to products: the most popular that may appear, not too many of a kind. */
#include "kernel.h"

#include <stdlib.h>

enum { BATCH = 16 };

/* Whether a candidate comes before another: the heavier, of equals the lower kind. */
static inline bool is_before(const Candidate *a, const Candidate *b)
{
    return a->weight != b->weight ? a->weight > b->weight : a->kind < b->kind;
}

static void sink(Scratch *s, int64_t place)
{
    Candidate item = s->heap[place];
    for (int64_t child = 2 * place + 1; child < s->n_heap; child = 2 * place + 1) {
        if (child + 1 < s->n_heap && is_before(&s->heap[child + 1], &s->heap[child]))
            child++;
        if (!is_before(&s->heap[child], &item))
            break;
        s->heap[place] = s->heap[child];
        place = child;
    }
    s->heap[place] = item;
}

/* A heap of the targets that weigh at least `low` and less than `end`. */
bool heap_between(Scratch *s, uint64_t low, uint64_t end)
{
    if (!RESERVE(s, heap, s->n_targets + 1))
        return false;
    s->n_heap = 0;
    for (int64_t i = 0; i < s->n_targets; i++) {
        const Target *target = &s->targets[i];
        s->heap[s->n_heap] = (Candidate){target->weight, target->kind, (int)i};
        s->n_heap += target->weight >= low && target->weight < end; /* not foreseeable: no branch */
    }
    for (int64_t i = s->n_heap / 2; i-- > 0;)
        sink(s, i);
    return true;
}

Candidate pop_candidate(Scratch *s)
{
    Candidate best = s->heap[0];
    s->heap[0] = s->heap[--s->n_heap];
    if (s->n_heap > 0)
        sink(s, 0);
    return best;
}

static bool is_hidden_row(const Scratch *s, int32_t row)
{
    if (s->n_hidden <= FEW_HIDDEN) {
        bool is_there = false;
        for (int64_t i = 0; i < s->n_hidden; i++)
            is_there |= s->hidden[i] == row;
        return is_there;
    }
    int64_t low = 0, high = s->n_hidden;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (s->hidden[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->n_hidden && s->hidden[low] == row;
}

static bool is_source(const Scratch *s, int32_t kind)
{
    for (int64_t i = 0; i < s->n_sources; i++)
        if (s->sources[i].node == kind)
            return true;
    return false;
}

/* 1 where Python says yes, 0 for no, -1 for an error. */
static int is_wanted(const Tables *t, const Asked *asked, int32_t kind)
{
    if (asked->categories == Py_None)
        return 1;
    PyObject *row = PyLong_FromLong(upper_half(KIND_WORD(t, kind, KIND_CATEGORY_AND_BEST)));
    if (row == NULL)
        return -1;
    int found = PySequence_Contains(asked->categories, row);
    Py_DECREF(row);
    return found;
}

static int is_available(const Tables *t, const Asked *asked, int64_t row, Status *status)
{
    Text text;
    if (!TEXT_IN(t, sku_id, SKU_WORD(t, row, SKU_ID), &text)) {
        *status = DAMAGED;
        return -1;
    }
    PyObject *sku = PyUnicode_DecodeUTF8(text.start, text.length, "strict");
    if (sku == NULL) {
        if (PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
            PyErr_Clear();
            *status = DAMAGED;
        }
        return -1;
    }
    int found;
    if (PyCallable_Check(asked->available)) {
        PyObject *said = PyObject_CallOneArg(asked->available, sku);
        found = said == NULL ? -1 : PyObject_IsTrue(said);
        Py_XDECREF(said);
    } else {
        found = PySequence_Contains(asked->available, sku);
    }
    Py_DECREF(sku);
    return found;
}

static bool is_priced(const Tables *t, const Asked *asked, int64_t row)
{
    double price = price_of(t, row);
    return price >= asked->min_price && price <= asked->max_price; /* an unknown price lies in no range */
}

static Status add_products(const Tables *t, const Asked *asked, Scratch *s, int at, int64_t *n_found)
{
    int32_t kind = s->targets[at].kind;
    uint64_t skus = KIND_WORD(t, kind, KIND_SKUS);
    Status status = FAILED;
    *n_found = 0;
    if (start_in(skus) + length_in(skus) > t->n_kind_skus)
        return DAMAGED;
    for (int64_t i = 0; i < length_in(skus) && *n_found < asked->max_per_kind; i++) {
        int32_t row = i == 0 ? lower_half(KIND_WORD(t, kind, KIND_CATEGORY_AND_BEST)) : t->kind_skus[start_in(skus) + i];
        if (!is_row(row, t->n_skus))
            return DAMAGED;
        if (asked->has_prices && !is_priced(t, asked, row))
            continue;
        if (is_hidden_row(s, row))
            continue;
        if (asked->available != Py_None) {
            int found = is_available(t, asked, row, &status);
            if (found < 0)
                return status;
            if (!found)
                continue;
        }
        if (!RESERVE(s, picks, s->n_picks + 1))
            return FAILED;
        s->picks[s->n_picks++] = (Pick){row, at};
        ++*n_found;
    }
    return OK;
}

static Taken *taken_of(Scratch *s, int32_t phrase)
{
    for (int64_t i = 0; i < s->n_taken; i++)
        if (s->taken[i].phrase == phrase)
            return &s->taken[i];
    return NULL;
}

/* Count a kind that a phrase was resolved to. Where the target is the source of the statement, none was. */
static Status take(Scratch *s, int32_t phrase)
{
    if (phrase < 0)
        return OK;
    Taken *taken = taken_of(s, phrase);
    if (taken != NULL) {
        taken->count++;
        return OK;
    }
    if (!RESERVE(s, taken, s->n_taken + 1))
        return FAILED;
    s->taken[s->n_taken++] = (Taken){phrase, 1};
    return OK;
}

static Status try_target(const Tables *t, const Asked *asked, Scratch *s, int at, int32_t edge)
{
    const Target *target = &s->targets[at];
    if (!asked->include_seed_kinds && is_source(s, target->kind))
        return OK;
    int wanted = is_wanted(t, asked, target->kind);
    if (wanted <= 0)
        return wanted < 0 ? FAILED : OK;
    bool is_stated = upper_half(EDGE_WORD(t, edge, EDGE_TARGET_AND_SHARE)) == target->kind;
    int32_t phrase = is_stated ? lower_half(EDGE_WORD(t, edge, EDGE_POSITION_AND_PHRASE)) : -1;
    Taken *taken = phrase >= 0 ? taken_of(s, phrase) : NULL;
    if (taken != NULL && taken->count >= asked->max_per_phrase)
        return OK;
    int64_t n_found;
    Status status = add_products(t, asked, s, at, &n_found);
    return status == OK && n_found > 0 ? take(s, phrase) : status;
}

static bool pick_is_before(const Scratch *s, const Pick *one, const Pick *other)
{
    uint64_t first = s->targets[one->target].weight, second = s->targets[other->target].weight;
    return first != second ? first > second : one->sku_row < other->sku_row;
}

static bool are_sorted(const Scratch *s)
{
    for (int64_t i = 1; i < s->n_picks; i++)
        if (pick_is_before(s, &s->picks[i], &s->picks[i - 1]))
            return false;
    return true;
}

/* By weight, ties by SKU. They come by weight already: only equals move. */
static bool sort_picks(Scratch *s)
{
    int64_t n = s->n_picks;
    if (are_sorted(s))
        return true;
    if (!RESERVE(s, picks, 2 * n))
        return false;
    Pick *from = s->picks, *to = s->picks + n;
    for (int64_t width = 1; width < n; width *= 2) { /* merge sort: a thousand equals must not cost n * n */
        for (int64_t low = 0; low < n; low += 2 * width) {
            int64_t middle = low + width < n ? low + width : n, high = low + 2 * width < n ? low + 2 * width : n;
            int64_t left = low, right = middle;
            for (int64_t i = low; i < high; i++) {
                bool takes_left = left < middle && (right >= high || !pick_is_before(s, &from[right], &from[left]));
                to[i] = takes_left ? from[left++] : from[right++];
            }
        }
        Pick *swap = from;
        from = to;
        to = swap;
    }
    if (from != s->picks)
        for (int64_t i = 0; i < n; i++)
            s->picks[i] = from[i];
    return true;
}

/* The edges of the heaviest paths to some candidates. What picking will read of these and of the kinds is asked
 * for, and what showing them will: they wait for the memory together, not one by one. */
static Status fetch_candidates(const Tables *t, const Asked *asked, const Scratch *s, const Candidate *candidates,
                               int n, int32_t *edges)
{
    for (int i = 0; i < n; i++) {
        Reason best;
        Status status = reason_at(t, s, heaviest_of(t, s, &s->targets[candidates[i].target]), &best);
        if (status != OK)
            return status;
        edges[i] = best.edge;
        FETCH(&KIND_WORD(t, candidates[i].kind, 0));
        FETCH(&EDGE_WORD(t, best.edge, 0));
    }
    for (int i = 0; i < n; i++) {
        int32_t row = lower_half(KIND_WORD(t, candidates[i].kind, KIND_CATEGORY_AND_BEST));
        if (is_row(row, t->n_skus))
            FETCH(&SKU_WORD(t, row, 0));
        if (asked->is_shown)
            fetch_named(t, edges[i]);
    }
    return OK;
}

/* Whether there are enough: what comes next is lighter than all of them. */
static bool is_enough(const Asked *asked, const Scratch *s, uint64_t next)
{
    return s->n_picks >= asked->k && next < s->targets[s->picks[asked->k - 1].target].weight;
}

static Status try_heap(const Tables *t, const Asked *asked, Scratch *s)
{
    Candidate batch[BATCH];
    int32_t edges[BATCH];
    while (s->n_heap > 0 && !is_enough(asked, s, s->heap[0].weight)) {
        int n = 0;
        while (n < BATCH && n <= asked->k - s->n_picks && s->n_heap > 0)
            batch[n++] = pop_candidate(s);
        if (n == 0)
            batch[n++] = pop_candidate(s);
        Status status = fetch_candidates(t, asked, s, batch, n, edges);
        for (int i = 0; i < n && status == OK && !is_enough(asked, s, batch[i].weight); i++)
            status = try_target(t, asked, s, batch[i].target, edges[i]);
        if (status != OK)
            return status;
    }
    return OK;
}

/* The reasons of a target, by weight, ties by source: the links go from the last source to the first. */
static Status add_reasons(const Tables *t, Scratch *s, const Target *target)
{
    int64_t first = s->n_reasons;
    for (int at = target->last; at >= 0; at = s->links[at].previous) {
        Reason reason;
        Status status = reason_at(t, s, at, &reason);
        if (status != OK || !RESERVE(s, reasons, s->n_reasons + 1))
            return status != OK ? status : FAILED;
        int64_t place = s->n_reasons++;
        for (; place > first && s->reasons[place - 1].weight <= reason.weight; place--)
            s->reasons[place] = s->reasons[place - 1];
        s->reasons[place] = reason;
    }
    return OK;
}

static Status choose(const Tables *t, Scratch *s)
{
    s->n_choices = s->n_reasons = 0;
    if (!RESERVE(s, choices, s->n_picks))
        return FAILED;
    for (int64_t i = 0; i < s->n_picks; i++) {
        const Target *target = &s->targets[s->picks[i].target];
        int32_t first = (int32_t)s->n_reasons;
        Status status = add_reasons(t, s, target);
        if (status != OK)
            return status;
        s->choices[s->n_choices++] =
            (Choice){target->weight, s->picks[i].sku_row, target->kind, first, (int32_t)s->n_reasons};
    }
    return OK;
}

Status pick(const Tables *t, const Asked *asked, Scratch *s)
{
    s->n_picks = s->n_taken = 0;
    if (!heap_between(s, s->floor, UINT64_MAX))
        return FAILED;
    Status status = try_heap(t, asked, s);
    if (status == OK && s->floor > 0 && !is_enough(asked, s, s->floor - 1)) { /* the light ones after all */
        if (!heap_between(s, 0, s->floor))
            return FAILED;
        status = try_heap(t, asked, s);
    }
    if (status != OK)
        return status;
    if (!sort_picks(s))
        return FAILED;
    if (s->n_picks > asked->k)
        s->n_picks = asked->k;
    return choose(t, s);
}
