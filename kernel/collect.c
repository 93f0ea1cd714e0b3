/* From sources to the kinds that their paths lead to. */
#include "kernel.h"

#include <string.h>

enum { AHEAD = 12, SPARE = 2 };
static const uint64_t MAX_WEIGHT = UINT32_MAX;

static inline uint64_t weighed(uint64_t weight, int64_t steps)
{
    if (steps == WEIGHT_STEPS)
        return weight;
    uint64_t scaled = weight * (uint64_t)steps / WEIGHT_STEPS;
    return scaled ? scaled : 1;
}

/* An empty hash table with room for n targets. */
static bool clear_targets(Scratch *s, int64_t n)
{
    int64_t size = 64;
    while (size < 2 * n)
        size *= 2;
    if (!RESERVE(s, slots, size))
        return false;
    memset(s->slots, 0, (size_t)size * sizeof *s->slots);
    s->slots_in_use = size;
    return true;
}

/* The slot that holds a kind, or the empty one where it belongs. */
static inline uint64_t *slot_of(Scratch *s, int32_t kind)
{
    uint64_t mask = (uint64_t)s->slots_in_use - 1;
    uint64_t place = ((uint64_t)(uint32_t)kind * 0x9E3779B97F4A7C15ULL) >> 32 & mask;
    while (s->slots[place] != 0 && upper_half(s->slots[place]) != kind)
        place = (place + 1) & mask;
    return &s->slots[place];
}

static inline uint64_t slot_with(int32_t kind, int64_t at) { return (uint64_t)(uint32_t)kind << 32 | (uint64_t)(at + 1); }

/* Count an arrival at a kind; there is room for what it adds. Whether a kind is new is not foreseeable, so the
 * place behind the last target is filled in any case. */
static inline Target *arrive(Scratch *s, int32_t kind, int source)
{
    uint64_t *slot = slot_of(s, kind);
    int64_t at = *slot != 0 ? lower_half(*slot) - 1 : s->n_targets;
    s->targets[s->n_targets] = (Target){0, kind, -1};
    *slot = slot_with(kind, at);
    s->n_targets += at == s->n_targets;
    Target *target = &s->targets[at];
    s->links[s->n_links] = (Link){target->last, source};
    target->last = (int)s->n_links++;
    return target;
}

static inline uint64_t row_weight(const Tables *t, int64_t row)
{
    return (uint32_t)lower_half(ROW_WORD(t, row, ROW_TARGET_AND_WEIGHT));
}

/* Ask for the rows of a node. */
static void fetch_rows(const Tables *t, const Source *source)
{
    for (int64_t i = 0; i < source->n_rows; i += 4)
        FETCH(&ROW_WORD(t, source->first_row + i, 0));
    if (source->n_rows > 0)
        FETCH(&ROW_WORD(t, source->first_row + source->n_rows - 1, 0));
}

/* As many targets as one source has at or above this weight, the answer has too. */
static void raise_floor(const Tables *t, const Asked *asked, Scratch *s, const Source *source)
{
    int64_t wanted = asked->k + s->n_sources + SPARE;
    if (source->n_rows < wanted)
        return;
    uint64_t weight = weighed(row_weight(t, source->first_row + wanted - 1), source->steps);
    if (weight > s->floor)
        s->floor = weight;
}

/* The merged rows of a node; false where they are damaged. */
static bool rows_of(const Tables *t, Source *source)
{
    int64_t start, end;
    if (source->node >= t->n_kinds) {
        if (!SLICE(t, row_offsets, source->node, t->n_rows, &start, &end))
            return false;
    } else {
        uint64_t word = KIND_WORD(t, source->node, KIND_ROWS);
        start = start_in(word);
        end = start + length_in(word);
    }
    source->first_row = start;
    source->n_rows = end - start;
    return end <= t->n_rows;
}

/* Count the rows of a source among others. */
static bool add_rows(const Tables *t, Scratch *s, int at)
{
    const Source *source = &s->sources[at];
    bool are_kinds = true;
    for (int64_t i = 0; i < source->n_rows; i++) {
        int32_t kind = upper_half(ROW_WORD(t, source->first_row + i, ROW_TARGET_AND_WEIGHT));
        are_kinds &= is_row(kind, t->n_kinds);
        arrive(s, kind, at)->weight += weighed(row_weight(t, source->first_row + i), source->steps);
    }
    return are_kinds;
}

/* Those of the only source: each of its rows leads to another kind. */
static bool add_only_rows(const Tables *t, Scratch *s)
{
    const Source *source = &s->sources[0];
    bool are_kinds = true;
    for (int64_t i = 0; i < source->n_rows; i++) {
        int32_t kind = upper_half(ROW_WORD(t, source->first_row + i, ROW_TARGET_AND_WEIGHT));
        are_kinds &= is_row(kind, t->n_kinds);
        s->targets[i] = (Target){weighed(row_weight(t, source->first_row + i), source->steps), kind, (int)i};
        s->links[i] = (Link){-1, 0};
    }
    s->n_targets = s->n_links = source->n_rows;
    return are_kinds;
}

Status collect_by_rows(const Tables *t, const Asked *asked, Scratch *s, int64_t max_row, bool *is_cut)
{
    int64_t total = 0;
    *is_cut = false;
    for (int64_t i = 0; i < s->n_sources; i++) {
        Source *source = &s->sources[i];
        if (!rows_of(t, source) || source->n_rows > max_row)
            return DAMAGED;
        *is_cut |= source->n_rows == max_row;
        source->first_link = total;
        total += source->n_rows;
        fetch_rows(t, source);
    }
    s->n_targets = s->n_links = 0;
    s->floor = 0;
    s->are_rows = true;
    if (!RESERVE(s, links, total) || !RESERVE(s, targets, total + 1))
        return FAILED;
    if (s->n_sources == 1) {
        raise_floor(t, asked, s, &s->sources[0]);
        return add_only_rows(t, s) ? OK : DAMAGED;
    }
    if (!clear_targets(s, total))
        return FAILED;
    for (int64_t i = 0; i < s->n_sources; i++) {
        if (!add_rows(t, s, (int)i))
            return DAMAGED;
        raise_floor(t, asked, s, &s->sources[i]);
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

static bool rehash(Scratch *s)
{
    if (!clear_targets(s, s->slots_in_use))
        return false;
    for (int64_t i = 0; i < s->n_targets; i++)
        *slot_of(s, s->targets[i].kind) = slot_with(s->targets[i].kind, i);
    return true;
}

/* What a source has reached a kind with, made where it is the first time; NULL where memory is out. */
static Arrival *arrival_at(Scratch *s, int32_t kind, int source)
{
    uint64_t slot = *slot_of(s, kind);
    int last = slot == 0 ? -1 : s->targets[lower_half(slot) - 1].last;
    if (last >= 0 && s->links[last].source == source)
        return &s->arrivals[last];
    if (2 * (s->n_targets + 1) > s->slots_in_use && !rehash(s))
        return NULL;
    if (!RESERVE(s, targets, s->n_targets + 2) || !RESERVE(s, links, s->n_links + 1) ||
        !RESERVE(s, arrivals, s->n_links + 1))
        return NULL;
    arrive(s, kind, source);
    s->arrivals[s->n_links - 1] = (Arrival){.target = kind};
    return &s->arrivals[s->n_links - 1];
}

static Status add_path(const Walk *walk, int32_t kind, int64_t edge, int64_t via, uint32_t weight)
{
    Scratch *s = walk->s;
    if (!is_row(kind, walk->t->n_kinds) || (walk->filters && walk->t->edge_type[edge] >= MAX_TYPES))
        return DAMAGED;
    if (walk->filters && !passes(walk, edge, via))
        return OK;
    Arrival *arrival = arrival_at(s, kind, walk->source);
    if (arrival == NULL)
        return FAILED;
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

/* Give what a source arrived with its final weight, and count it into its targets. */
static void settle(Scratch *s, int64_t first, int64_t steps)
{
    for (int64_t at = first; at < s->n_links; at++) {
        Arrival *arrival = &s->arrivals[at];
        arrival->weight = weighed(arrival->weight < MAX_WEIGHT ? arrival->weight : MAX_WEIGHT, steps);
        s->targets[lower_half(*slot_of(s, arrival->target)) - 1].weight += arrival->weight;
    }
}

Status collect_by_paths(const Tables *t, const Asked *asked, Scratch *s)
{
    bool filters = asked->types != asked->all_types || asked->min_probability > 0;
    s->n_targets = s->n_links = 0;
    s->floor = 0;
    s->are_rows = false;
    if (!clear_targets(s, 512))
        return FAILED;
    for (int64_t i = 0; i < s->n_sources; i++) {
        Walk walk = {t, asked, s, (int)i, filters};
        int64_t node = s->sources[i].node, first = s->n_links;
        Status status = node < t->n_kinds ? walk_kind(&walk, node) : walk_rationale(&walk, node - t->n_kinds);
        if (status != OK)
            return status;
        settle(s, first, s->sources[i].steps);
    }
    return OK;
}

/* The weight of an arrival. */
static inline uint64_t weight_at(const Tables *t, const Scratch *s, int at)
{
    if (!s->are_rows)
        return s->arrivals[at].weight;
    const Source *source = &s->sources[s->links[at].source];
    return weighed(row_weight(t, source->first_row + at - source->first_link), source->steps);
}

int heaviest_of(const Tables *t, const Scratch *s, const Target *target)
{
    int best = target->last;
    for (int at = s->links[best].previous; at >= 0; at = s->links[at].previous)
        if (weight_at(t, s, at) >= weight_at(t, s, best)) /* of equals the first source */
            best = at;
    return best;
}

Status reason_at(const Tables *t, const Scratch *s, int at, Reason *reason)
{
    int place = s->links[at].source;
    const Source *source = &s->sources[place];
    bool is_kind = source->node < t->n_kinds;
    *reason = (Reason){weight_at(t, s, at), 0, -1, place, is_kind ? (int32_t)source->node : -1, source->seed};
    if (!s->are_rows) {
        reason->edge = s->arrivals[at].edge;
        reason->via = s->arrivals[at].via;
        return OK;
    }
    int64_t row = source->first_row + at - source->first_link;
    reason->edge = upper_half(ROW_WORD(t, row, ROW_EDGE_AND_VIA));
    reason->via = lower_half(ROW_WORD(t, row, ROW_EDGE_AND_VIA));
    bool is_whole = is_row(reason->edge, t->n_edges) && reason->via >= -1 && reason->via < t->n_edges;
    return is_whole ? OK : DAMAGED;
}
