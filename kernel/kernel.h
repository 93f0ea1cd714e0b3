/* The compiled kernel: answers from the arrays of a snapshot, as pkgraph.recommend.plain does, to the bit.
 *
 * Opening checks that the lengths of all arrays fit each other; every index and every offset that is read from
 * an array is checked before it is followed, so a damaged snapshot is an error and never a crash.
 */
#ifndef PKGRAPH_KERNEL_H
#define PKGRAPH_KERNEL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Name in C, name in the snapshot, type of a value. */
#define ARRAYS(X) \
    X(sku_card, "sku_cards", uint64_t) \
    X(sku_id_bytes, "sku_ids.bytes", uint8_t) \
    X(sku_title_bytes, "sku_titles.bytes", uint8_t) \
    X(sku_slots, "sku_slots", uint64_t) \
    X(kind_card, "kind_cards", uint64_t) \
    X(kind_title_bytes, "kind_titles.bytes", uint8_t) \
    X(category_name_at, "category_names.offsets", int64_t) \
    X(category_name_bytes, "category_names.bytes", uint8_t) \
    X(kind_skus, "kind_skus", int32_t) \
    X(rationale_text_at, "rationale_texts.offsets", int64_t) \
    X(rationale_id_bytes, "rationale_ids.bytes", uint8_t) \
    X(rationale_text_bytes, "rationale_texts.bytes", uint8_t) \
    X(edge_card, "edge_cards", uint64_t) \
    X(edge_offsets, "edge_offsets", int64_t) \
    X(edge_source, "edge_source", int32_t) \
    X(edge_type, "edge_type", uint8_t) \
    X(edge_target, "edge_target", int32_t) \
    X(edge_probability, "edge_probability", double) \
    X(edge_weight, "edge_weight", uint32_t) \
    X(edge_inferred_weight, "edge_inferred_weight", uint32_t) \
    X(explanation_bytes, "edge_explanations.bytes", uint8_t) \
    X(response_id_bytes, "response_ids.bytes", uint8_t) \
    X(backward_offsets, "backward_offsets", int64_t) \
    X(backward_edges, "backward_edges", int32_t) \
    X(rationale_edge_offsets, "rationale_edge_offsets", int64_t) \
    X(rationale_edges, "rationale_edges", int32_t) \
    X(shared_offsets, "shared_offsets", int64_t) \
    X(shared_edge, "shared_edge", int32_t) \
    X(shared_via, "shared_via", int32_t) \
    X(shared_weight, "shared_weight", uint32_t) \
    X(row_offsets, "row_offsets", int64_t) \
    X(row_card, "row_cards", uint64_t) \
    X(scores, "scores", uint32_t)

/* Words of a card, and where they are; see docs/SNAPSHOT.md. */
enum { SKU_CARD = 4, SKU_ID = 0, SKU_TITLE, SKU_PRICE, SKU_KIND };
enum { KIND_CARD = 4, KIND_TITLE = 0, KIND_CATEGORY_AND_BEST, KIND_SKUS, KIND_ROWS };
enum { ROW_CARD = 2, ROW_TARGET_AND_WEIGHT = 0, ROW_EDGE_AND_VIA };
enum {
    EDGE_CARD = 8, /* a line of memory, of which the last word is zero */
    EDGE_SENTENCE = 0,
    EDGE_RATIONALE_TEXT,
    EDGE_RATIONALE_ID,
    EDGE_RESPONSE,
    EDGE_POSITION_AND_PHRASE,
    EDGE_TARGET_AND_SHARE,
    EDGE_PROBABILITY,
};
enum { NO_SHARE = 0xFFFFFF };

#define COUNT_ONE(name, text, type) +1
enum { N_ARRAYS = 0 ARRAYS(COUNT_ONE), MAX_TYPES = 8 };

/* The arrays of a snapshot, or those of them that paths are read from. */
typedef struct {
#define FIELD(name, text, type) \
    const type *name; \
    int64_t n_##name;
    ARRAYS(FIELD)
#undef FIELD
    int64_t n_skus, n_rows, n_kinds, n_rationales, n_edges;
    uint32_t shares_a_purpose; /* a bit a relation type */
} Tables;

typedef struct {
    const char *start;
    int64_t length;
    int64_t readable; /* bytes from the start on that may be read, more than the length inside a table */
} Text;

enum { WEIGHT_STEPS = 1024 }; /* a seed of weight 1 */

/* Where paths start. */
typedef struct {
    int64_t node;
    int seed; /* place in the given SKUs, -1 where it is a rationale */
    int64_t steps;
    int64_t first_row, n_rows, first_link; /* its merged rows, and the links that they became */
} Source;

/* A source reaches a target. */
typedef struct {
    int previous; /* the link before to the same target, -1 for the first */
    int source;
} Link;

/* What a link stands for where paths were walked: the heaviest of them, and the weight of all. */
typedef struct {
    int32_t target, edge, via;
    uint64_t weight, heaviest;
} Arrival;

typedef struct {
    uint64_t weight;
    int32_t kind;
    int last; /* link */
} Target;

/* A target among those that may be picked next. */
typedef struct {
    uint64_t weight;
    int32_t kind;
    int target;
} Candidate;

/* A product of a target, while products are picked. */
typedef struct {
    int32_t sku_row;
    int target;
} Pick;

/* The heaviest path from a source to a product that was picked. */
typedef struct {
    uint64_t weight;
    int32_t edge, via;
    int32_t source, kind; /* place of the source, and its kind, -1 where it is a rationale */
    int32_t seed;         /* place in the given SKUs, -1 where the source is a rationale */
} Reason;

/* A product that is recommended, with reasons[first] to reasons[end - 1], the heaviest first. */
typedef struct {
    uint64_t weight;
    int32_t sku_row, kind;
    int32_t first, end;
} Choice;

typedef struct {
    const Choice *choices;
    const Reason *reasons;
    int64_t n_choices;
} Found;

typedef struct {
    int32_t phrase;
    int64_t count;
} Taken;

enum { FEW_HIDDEN = 16 }; /* looked through one by one */

/* Working memory of one question, kept between questions. */
typedef struct {
    Source *sources;
    Link *links;
    Arrival *arrivals; /* a link, where paths were walked; where rows were read, they say it themselves */
    Target *targets;
    uint64_t *slots; /* hash table of kinds: halves are the kind and its place in targets + 1 */
    Candidate *heap; /* the best on top */
    Pick *picks;
    Choice *choices;
    Reason *reasons;
    Taken *taken;
    int32_t *hidden; /* sku rows, ascending where they are more than FEW_HIDDEN */
    char *text;
    int64_t n_sources, n_links, n_targets, slots_in_use, n_heap, n_picks, n_choices, n_reasons, n_taken, n_hidden,
        n_text;
    int64_t sources_size, links_size, arrivals_size, targets_size, slots_size, heap_size, picks_size, choices_size,
        reasons_size, taken_size, hidden_size, text_size;
    bool are_rows; /* whether links stand for merged rows */
    uint64_t floor; /* about as many targets as are wanted weigh at least that; see pick */
} Scratch;

/* What is asked; see pkgraph.recommend.plain.Asked. */
typedef struct {
    PyObject *skus, *rationales, *exclude; /* tuples: a caller's list may change while a stock function is asked */
    PyObject *steps, *categories, *available; /* borrowed; None where not given */
    int64_t k, max_per_kind, max_per_phrase;
    uint32_t types, all_types;
    double min_probability, min_price, max_price;
    bool has_prices, include_seed_kinds;
    bool is_shown; /* what is picked becomes text at once */
} Asked;

typedef enum { OK = 0, DAMAGED, FAILED /* a Python error is set */ } Status;

/* seeds.c */
int64_t row_of(const Tables *t, const char *key, int64_t length);
Status find_sources(const Tables *t, const Asked *asked, Scratch *s, PyObject *unknown);

/* collect.c */
Status collect_by_rows(const Tables *t, const Asked *asked, Scratch *s, int64_t max_row, bool *is_cut);
Status collect_by_paths(const Tables *t, const Asked *asked, Scratch *s);
int heaviest_of(const Tables *t, const Scratch *s, const Target *target);
Status reason_at(const Tables *t, const Scratch *s, int at, Reason *reason);

/* pick.c */
Status pick(const Tables *t, const Asked *asked, Scratch *s);
bool heap_between(Scratch *s, uint64_t low, uint64_t end);
Candidate pop_candidate(Scratch *s);

/* render.c */
void fetch_named(const Tables *t, int64_t edge);

/* merge.c */
PyObject *merge_paths(const Tables *t, int64_t first, int64_t end, int64_t max_row, Status *status);

/* scores.c */
PyObject *score_table(int64_t n, int64_t weight_scale);

/* texts.c */
PyObject *number_texts(PyObject *self, PyObject *args);
PyObject *place_texts(PyObject *self, PyObject *args);

/* arrays.c */
typedef struct {
    Py_buffer views[N_ARRAYS];
    int n_views;
} Views;

bool take_arrays(PyObject *arrays, bool are_all, Tables *t, Views *views);
void release_arrays(Views *views);
const char *misfit(const Tables *t);
const char *misfit_of_edges(const Tables *t);

/* scratch.c */
bool grow(void **items, int64_t *size, int64_t needed, size_t width);
void free_scratch(Scratch *s);

#define RESERVE(s, name, needed) \
    ((needed) <= (s)->name##_size || grow((void **)&(s)->name, &(s)->name##_size, (needed), sizeof *(s)->name))

/* Ask for a line of memory. GCC takes a function that does nothing else for one without effect and drops its
 * calls; the empty statement that may not be dropped prevents that. */
#define FETCH(address) \
    do { \
        __builtin_prefetch(address); \
        __asm__ volatile(""); \
    } while (0)

static inline bool is_row(int64_t row, int64_t n) { return (uint64_t)row < (uint64_t)n; }

/* The slice that item `at` owns; false where the offsets are damaged. */
static inline bool slice_of(const int64_t *offsets, int64_t n_offsets, int64_t at, int64_t n, int64_t *start,
                            int64_t *end)
{
    if (at < 0 || at >= n_offsets - 1)
        return false;
    *start = offsets[at];
    *end = offsets[at + 1];
    return *start >= 0 && *start <= *end && *end <= n;
}

/* What a word of a card says: a start in its upper 40 bits and a length below; two halves; a price. */
static inline int64_t start_in(uint64_t word) { return (int64_t)(word >> 24); }
static inline int64_t length_in(uint64_t word) { return (int64_t)(word & 0xFFFFFF); }
static inline int32_t upper_half(uint64_t word) { return (int32_t)(word >> 32); }
static inline int32_t lower_half(uint64_t word) { return (int32_t)(word & UINT32_MAX); }

#define SLICE(t, offsets, at, n, start, end) slice_of((t)->offsets, (t)->n_##offsets, at, n, start, end)

static inline bool text_of(const int64_t *offsets, int64_t n_offsets, const uint8_t *bytes, int64_t n_bytes,
                           int64_t row, Text *text)
{
    int64_t start, end;
    if (!slice_of(offsets, n_offsets, row, n_bytes, &start, &end))
        return false;
    text->start = (const char *)bytes + start;
    text->length = end - start;
    text->readable = n_bytes - start;
    return true;
}

static inline bool text_in(uint64_t word, const uint8_t *bytes, int64_t n_bytes, Text *text)
{
    text->start = (const char *)bytes + start_in(word);
    text->length = length_in(word);
    text->readable = n_bytes - start_in(word);
    return start_in(word) + length_in(word) <= n_bytes;
}

/* The text that a word of a card names. */
#define TEXT_IN(t, name, word, text) text_in(word, (t)->name##_bytes, (t)->n_##name##_bytes, text)

/* A word of the card of a row that was checked. */
#define SKU_WORD(t, row, word) ((t)->sku_card[SKU_CARD * (int64_t)(row) + (word)])
#define KIND_WORD(t, row, word) ((t)->kind_card[KIND_CARD * (int64_t)(row) + (word)])
#define ROW_WORD(t, row, word) ((t)->row_card[ROW_CARD * (int64_t)(row) + (word)])
#define EDGE_WORD(t, row, word) ((t)->edge_card[EDGE_CARD * (int64_t)(row) + (word)])

static inline double number_in(uint64_t word)
{
    double number;
    memcpy(&number, &word, sizeof number);
    return number;
}

static inline double price_of(const Tables *t, int64_t row) { return number_in(SKU_WORD(t, row, SKU_PRICE)); }

#define TEXT(t, name, row, text) \
    text_of((t)->name##_at, (t)->n_##name##_at, (t)->name##_bytes, (t)->n_##name##_bytes, row, text)

#endif
