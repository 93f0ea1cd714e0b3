/* What a recommended product says: asked for ahead, looked up and checked. */
#include "render.h"

#include <math.h>

/* Ask for the ends of a text: most fit into two lines. */
#define FETCH_TEXT(t, name, word) fetch_text((t)->name##_bytes, (t)->n_##name##_bytes, word)

static inline void fetch_text(const uint8_t *bytes, int64_t n_bytes, uint64_t word)
{
    int64_t start = start_in(word), end = start + length_in(word);
    if (end > n_bytes || start == end)
        return;
    FETCH(bytes + start);
    FETCH(bytes + end - 1);
}

static void fetch_edge(const Tables *t, const Reason *reason)
{
    FETCH(&EDGE_WORD(t, reason->edge, 0));
    if (reason->via < 0)
        return;
    FETCH(&EDGE_WORD(t, reason->via, 0));
    FETCH(&t->edge_probability[reason->edge]);
    FETCH(&t->edge_probability[reason->via]);
}

static void fetch_response_offset(const Tables *t, int64_t edge)
{
    int64_t response = upper_half(EDGE_WORD(t, edge, EDGE_STATEMENT));
    if (is_row(response, t->n_response_id_at - 1))
        FETCH(&t->response_id_at[response]);
}

static void fetch_response(const Tables *t, int64_t edge)
{
    int64_t response = upper_half(EDGE_WORD(t, edge, EDGE_STATEMENT)), start;
    if (!is_row(response, t->n_response_id_at - 1))
        return;
    start = t->response_id_at[response];
    if (is_row(start, t->n_response_id_bytes))
        FETCH(&t->response_id_bytes[start]);
}

static void fetch_cards(const Tables *t, const Choice *choice, const Reason *reasons)
{
    FETCH(&SKU_WORD(t, choice->sku_row, 0));
    FETCH(&KIND_WORD(t, choice->kind, 0));
    for (int32_t i = choice->first; i < choice->end; i++)
        fetch_edge(t, &reasons[i]);
}

/* Ask for what the card of an edge names. */
void fetch_named(const Tables *t, int64_t edge)
{
    int64_t rationale = upper_half(EDGE_WORD(t, edge, EDGE_RATIONALE_AND_PHRASE));
    if (is_row(rationale, t->n_rationales))
        FETCH(&RATIONALE_WORD(t, rationale, 0));
    FETCH_TEXT(t, explanation, EDGE_WORD(t, edge, EDGE_SENTENCE));
    fetch_response_offset(t, edge);
}

static void fetch_what_cards_name(const Tables *t, const Choice *choice, const Reason *reasons)
{
    FETCH_TEXT(t, sku_id, SKU_WORD(t, choice->sku_row, SKU_ID));
    FETCH_TEXT(t, sku_title, SKU_WORD(t, choice->sku_row, SKU_TITLE));
    FETCH_TEXT(t, kind_title, KIND_WORD(t, choice->kind, KIND_TITLE));
    for (int32_t i = choice->first; i < choice->end; i++) {
        fetch_named(t, reasons[i].edge);
        if (reasons[i].via >= 0)
            fetch_response_offset(t, reasons[i].via);
    }
}

static void fetch_last(const Tables *t, const Choice *choice, const Reason *reasons)
{
    for (int32_t i = choice->first; i < choice->end; i++) {
        int64_t rationale = upper_half(EDGE_WORD(t, reasons[i].edge, EDGE_RATIONALE_AND_PHRASE));
        if (is_row(rationale, t->n_rationales)) {
            FETCH_TEXT(t, rationale_text, RATIONALE_WORD(t, rationale, RATIONALE_TEXT));
            FETCH_TEXT(t, rationale_id, RATIONALE_WORD(t, rationale, RATIONALE_ID));
        }
        fetch_response(t, reasons[i].edge);
        if (reasons[i].via >= 0)
            fetch_response(t, reasons[i].via);
    }
}

/* Ask for the memory that an answer will read, a step of all products after the other: ten wait together. */
void fetch_found(const Tables *t, Found found)
{
    for (int64_t i = 0; i < found.n_choices; i++)
        fetch_cards(t, &found.choices[i], found.reasons);
    for (int64_t i = 0; i < found.n_choices; i++)
        fetch_what_cards_name(t, &found.choices[i], found.reasons);
    for (int64_t i = 0; i < found.n_choices; i++)
        fetch_last(t, &found.choices[i], found.reasons);
}

int64_t score_of(const Tables *t, uint64_t weight)
{
    uint64_t last = (uint64_t)t->n_scores - 1;
    return t->scores[weight < last ? weight : last];
}

/* The answer that the surest statement of an edge was read from, and its place there. */
static bool surest(const Tables *t, int64_t edge, Text *response, int32_t *position)
{
    uint64_t word = EDGE_WORD(t, edge, EDGE_STATEMENT);
    *position = lower_half(word);
    return TEXT(t, response_id, upper_half(word), response);
}

/* Probability that the statements of a path hold, in millionths; false where it is no share. */
bool probability_of(const Tables *t, const Records *records, const Reason *reason, int64_t *micro)
{
    if (reason->via < 0) {
        *micro = (int64_t)(EDGE_WORD(t, reason->edge, EDGE_TARGET_AND_SHARE) >> 8 & NO_SHARE);
        return *micro <= (int64_t)records->micro;
    }
    double share = t->edge_probability[reason->edge] * t->edge_probability[reason->via];
    if (!(share >= 0 && share <= 1))
        return false;
    *micro = (int64_t)nearbyint(share * records->micro);
    return true;
}

bool read_way(const Tables *t, const Records *records, const Reason *reason, int32_t kind, Way *way)
{
    int64_t edge = reason->edge, rationale = upper_half(EDGE_WORD(t, edge, EDGE_RATIONALE_AND_PHRASE));
    uint64_t last = EDGE_WORD(t, edge, EDGE_TARGET_AND_SHARE);
    way->edge = reason->edge;
    way->via = reason->via;
    way->type = (int)(last & 0xFF);
    way->is_reversed = upper_half(last) != kind;
    if (way->type >= records->n_types || !probability_of(t, records, reason, &way->micro_probability))
        return false;
    if (reason->via >= 0 && !surest(t, reason->via, &way->via_response, &way->via_position))
        return false;
    return is_row(rationale, t->n_rationales) &&
           TEXT_IN(t, rationale_text, RATIONALE_WORD(t, rationale, RATIONALE_TEXT), &way->rationale) &&
           TEXT_IN(t, rationale_id, RATIONALE_WORD(t, rationale, RATIONALE_ID), &way->rationale_id) &&
           TEXT_IN(t, explanation, EDGE_WORD(t, edge, EDGE_SENTENCE), &way->explanation) &&
           surest(t, edge, &way->response, &way->position);
}
