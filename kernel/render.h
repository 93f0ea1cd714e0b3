/* Picks as Python records or as JSON. */
#ifndef PKGRAPH_RENDER_H
#define PKGRAPH_RENDER_H

#include "kernel.h"

enum { N_ITEM_FIELDS = 8, N_PATH_FIELDS = 11 };

/* The classes of records and where their slots are; fields in the order of the class. */
typedef struct {
    PyTypeObject *item, *path;
    Py_ssize_t item_at[N_ITEM_FIELDS], path_at[N_PATH_FIELDS];
    PyObject *types[MAX_TYPES];
    Text type_texts[MAX_TYPES];
    int n_types;
    double micro; /* shares are shown in its parts */
} Records;

void fetch_picks(const Tables *t, const Scratch *s);
PyObject *as_records(const Tables *t, const Records *records, const Asked *asked, Scratch *s, Status *status);
PyObject *as_picks(const Scratch *s);
PyObject *as_json(const Tables *t, const Records *records, const Asked *asked, Scratch *s, PyObject *unknown,
                  PyObject *snapshot_id, Status *status);

/* What a way says, in positions and texts that were checked. */
typedef struct {
    int arrival;
    int32_t edge, via, statement, via_statement;
    int64_t micro_probability;
    bool is_reversed;
    int type;
    Text rationale, rationale_id, explanation, response, via_response;
} Way;

bool next_way(const Tables *t, const Records *records, const Scratch *s, int at, int32_t kind, Way *way);
bool probability_of(const Tables *t, const Records *records, const Arrival *arrival, int64_t *micro);
int64_t score_of(const Tables *t, uint64_t weight);

/* Places of at most `room` arrivals of a target, by weight, ties by source. */
int sorted_arrivals(const Scratch *s, const Target *target, int *places, int room);

#endif
