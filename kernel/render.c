/* What a recommended product says: asked for ahead, looked up and checked. */
#include "render.h"

#include <math.h>
#include <string.h>

static void fetch_ways(const Tables *t, const Reason *reason, const Reason *end)
{
    for (; reason < end; reason++) {
        int32_t edge = reason->edge;
        FETCH(&t->edge_rationale[edge]);
        FETCH(&t->edge_type[edge]);
        FETCH(&t->edge_probability[edge]);
        FETCH(&t->explanation_at[edge]);
        FETCH(&t->edge_statement_offsets[edge]);
    }
}

static void fetch_texts(const Tables *t, const Reason *reason, const Reason *end)
{
    for (; reason < end; reason++) {
        int32_t edge = reason->edge;
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

static void fetch_sources(const Tables *t, const Reason *reason, const Reason *end)
{
    for (; reason < end; reason++) {
        int64_t statement = t->edge_statement_offsets[reason->edge];
        int64_t rationale = t->edge_rationale[reason->edge];
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

/* Ask for the memory that an answer will read: ten products wait for it together. */
void fetch_found(const Tables *t, Found found)
{
    const Choice *end = found.choices + found.n_choices;
    for (const Choice *choice = found.choices; choice < end; choice++) {
        FETCH(&t->sku_id_at[choice->sku_row]);
        FETCH(&t->sku_title_at[choice->sku_row]);
        FETCH(&t->sku_price[choice->sku_row]);
        FETCH(&t->kind_title_at[choice->kind]);
        FETCH(&t->kind_category[choice->kind]);
        fetch_ways(t, found.reasons + choice->first, found.reasons + choice->end);
    }
    for (const Choice *choice = found.choices; choice < end; choice++) {
        int64_t sku = t->sku_id_at[choice->sku_row], title = t->sku_title_at[choice->sku_row];
        int64_t kind_title = t->kind_title_at[choice->kind];
        if (is_row(sku, t->n_sku_id_bytes))
            FETCH(&t->sku_id_bytes[sku]);
        if (is_row(title, t->n_sku_title_bytes))
            FETCH(&t->sku_title_bytes[title]);
        if (is_row(kind_title, t->n_kind_title_bytes))
            FETCH(&t->kind_title_bytes[kind_title]);
        fetch_texts(t, found.reasons + choice->first, found.reasons + choice->end);
    }
    for (const Choice *choice = found.choices; choice < end; choice++)
        fetch_sources(t, found.reasons + choice->first, found.reasons + choice->end);
}

int64_t score_of(const Tables *t, uint64_t weight)
{
    uint64_t last = (uint64_t)t->n_scores - 1;
    return t->scores[weight < last ? weight : last];
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
bool probability_of(const Tables *t, const Records *records, const Reason *reason, int64_t *micro)
{
    double share = t->edge_probability[reason->edge];
    if (reason->via >= 0)
        share *= t->edge_probability[reason->via];
    if (!(share >= 0 && share <= 1))
        return false;
    *micro = (int64_t)nearbyint(share * records->micro);
    return true;
}

bool read_way(const Tables *t, const Records *records, const Reason *reason, int32_t kind, Way *way)
{
    int64_t edge = reason->edge, rationale = t->edge_rationale[edge];
    way->edge = reason->edge;
    way->via = reason->via;
    way->type = t->edge_type[edge];
    way->is_reversed = t->edge_target[edge] != kind;
    if (way->type >= records->n_types || !probability_of(t, records, reason, &way->micro_probability))
        return false;
    if (reason->via >= 0 && !surest(t, reason->via, &way->via_statement, &way->via_response))
        return false;
    return TEXT(t, rationale_text, rationale, &way->rationale) &&
           TEXT(t, rationale_id, rationale, &way->rationale_id) &&
           TEXT(t, explanation, edge, &way->explanation) && surest(t, edge, &way->statement, &way->response);
}
