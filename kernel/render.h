/* Picks as Python records or as JSON. */
#ifndef PKGRAPH_RENDER_H
#define PKGRAPH_RENDER_H

#include "kernel.h"

enum { N_ITEM_FIELDS = 8, N_PATH_FIELDS = 11, N_ANSWER_FIELDS = 5 };

/* The classes of records and where their slots are; fields in the order of the class. The last one of an answer
 * leads to what is made when it is read. */
typedef struct {
    PyTypeObject *item, *path, *answer;
    Py_ssize_t item_at[N_ITEM_FIELDS], path_at[N_PATH_FIELDS], answer_at[N_ANSWER_FIELDS];
    PyObject *types[MAX_TYPES];
    Text type_texts[MAX_TYPES];
    int n_types;
    double micro; /* shares are shown in its parts */
} Records;

/* pkgraph._kernel.Graph */
typedef struct {
    PyObject_HEAD
    Tables tables;
    Views views;
    Records records;
    PyObject *damaged, *snapshot_id;
    int64_t max_row;
    uint32_t all_types;
    Scratch *scratch; /* NULL while a question is at work: another one then makes its own */
} Graph;

/* graph.c */
extern PyType_Spec graph_spec;
PyObject *raise_status(const Graph *self, Status status);

/* later.c */
extern PyTypeObject LaterType;
PyObject *as_records(Graph *graph, const Asked *asked, Found found, PyObject *unknown);

/* records.c */
PyObject *as_items(const Tables *t, const Records *records, PyObject *skus, Found found, Status *status);
PyObject *as_picks(Found found);
PyObject *new_text(Text text);
PyObject *record(PyTypeObject *type, const Py_ssize_t *at, PyObject **fields, int n);

/* json.c */
PyObject *as_json(const Graph *graph, const Asked *asked, Scratch *s, Found found, PyObject *unknown, Status *status);

/* What a reason says, in numbers and texts that were checked. */
typedef struct {
    int32_t edge, via, position, via_position;
    int64_t micro_probability;
    bool is_reversed;
    int type;
    Text rationale, rationale_id, explanation, response, via_response;
} Way;

/* render.c */
void fetch_first(const Tables *t, Found found);
void fetch_next(const Tables *t, Found found, int64_t at);
bool read_way(const Tables *t, const Records *records, const Reason *reason, int32_t kind, Way *way);
bool probability_of(const Tables *t, const Records *records, const Reason *reason, int64_t *micro);
int64_t score_of(const Tables *t, uint64_t weight);

#endif
