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

static void fetch_cards(const Tables *t, const Choice *choice, const Reason *reasons)
{
    FETCH(&SKU_WORD(t, choice->sku_row, 0));
    FETCH(&KIND_WORD(t, choice->kind, 0));
    for (int32_t i = choice->first; i < choice->end; i++) {
        FETCH(&EDGE_WORD(t, reasons[i].edge, 0));
        if (reasons[i].via >= 0)
            FETCH(&EDGE_WORD(t, reasons[i].via, 0));
    }
}

static void fetch_texts(const Tables *t, const Choice *choice, const Reason *reasons)
{
    FETCH_TEXT(t, sku_id, SKU_WORD(t, choice->sku_row, SKU_ID));
    FETCH_TEXT(t, sku_title, SKU_WORD(t, choice->sku_row, SKU_TITLE));
    FETCH_TEXT(t, kind_title, KIND_WORD(t, choice->kind, KIND_TITLE));
    for (int32_t i = choice->first; i < choice->end; i++) {
        fetch_named(t, reasons[i].edge);
        if (reasons[i].via >= 0)
            FETCH_TEXT(t, response_id, EDGE_WORD(t, reasons[i].via, EDGE_RESPONSE));
    }
}

/* Ask for the texts that the card of an edge names. */
void fetch_named(const Tables *t, int64_t edge)
{
    FETCH_TEXT(t, rationale_text, EDGE_WORD(t, edge, EDGE_RATIONALE_TEXT));
    FETCH_TEXT(t, rationale_id, EDGE_WORD(t, edge, EDGE_RATIONALE_ID));
    FETCH_TEXT(t, explanation, EDGE_WORD(t, edge, EDGE_SENTENCE));
    FETCH_TEXT(t, response_id, EDGE_WORD(t, edge, EDGE_RESPONSE));
}

enum { AHEAD = 3 };

/* Ask for what the first products of an answer say: a step of all after the other, so that they wait together. */
void fetch_first(const Tables *t, Found found)
{
    for (int64_t i = 0; i < found.n_choices; i++)
        fetch_cards(t, &found.choices[i], found.reasons);
    for (int64_t i = 0; i < AHEAD && i < found.n_choices; i++)
        fetch_texts(t, &found.choices[i], found.reasons);
}

/* Ask for what is said soon, while product `at` is written: a core has room for some sixteen lines on their way. */
void fetch_next(const Tables *t, Found found, int64_t at)
{
    if (at + AHEAD < found.n_choices)
        fetch_texts(t, &found.choices[at + AHEAD], found.reasons);
}

int64_t score_of(const Tables *t, uint64_t weight)
{
    uint64_t last = (uint64_t)t->n_scores - 1;
    return t->scores[weight < last ? weight : last];
}

/* Probability that the statements of a path hold, in millionths; false where it is no share. */
bool probability_of(const Tables *t, const Records *records, const Reason *reason, int64_t *micro)
{
    if (reason->via < 0) {
        *micro = (int64_t)(EDGE_WORD(t, reason->edge, EDGE_TARGET_AND_SHARE) >> 8 & NO_SHARE);
        return *micro <= (int64_t)records->micro;
    }
    double share = number_in(EDGE_WORD(t, reason->edge, EDGE_PROBABILITY)) *
                   number_in(EDGE_WORD(t, reason->via, EDGE_PROBABILITY));
    if (!(share >= 0 && share <= 1))
        return false;
    *micro = (int64_t)nearbyint(share * records->micro);
    return true;
}

bool read_way(const Tables *t, const Records *records, const Reason *reason, int32_t kind, Way *way)
{
    const uint64_t *card = &EDGE_WORD(t, reason->edge, 0);
    uint64_t last = card[EDGE_TARGET_AND_SHARE];
    way->edge = reason->edge;
    way->via = reason->via;
    way->type = (int)(last & 0xFF);
    way->is_reversed = upper_half(last) != kind;
    way->position = upper_half(card[EDGE_POSITION_AND_PHRASE]);
    if (way->type >= records->n_types || !probability_of(t, records, reason, &way->micro_probability))
        return false;
    if (reason->via >= 0) {
        const uint64_t *of_via = &EDGE_WORD(t, reason->via, 0);
        way->via_position = upper_half(of_via[EDGE_POSITION_AND_PHRASE]);
        if (!TEXT_IN(t, response_id, of_via[EDGE_RESPONSE], &way->via_response))
            return false;
    }
    return TEXT_IN(t, rationale_text, card[EDGE_RATIONALE_TEXT], &way->rationale) &&
           TEXT_IN(t, rationale_id, card[EDGE_RATIONALE_ID], &way->rationale_id) &&
           TEXT_IN(t, explanation, card[EDGE_SENTENCE], &way->explanation) &&
           TEXT_IN(t, response_id, card[EDGE_RESPONSE], &way->response);
}
