/* Taking hold of a column of texts through Arrow's C stream interface, whose structures are fixed by its
 * specification: https://arrow.apache.org/docs/format/CStreamInterface.html
 */
#include "arrow.h"

struct ArrowSchema {
    const char *format, *name, *metadata;
    int64_t flags, n_children;
    struct ArrowSchema **children, *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length, null_count, offset, n_buffers, n_children;
    const void **buffers;
    struct ArrowArray **children, *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};

/* A text as Arrow views it. */
typedef struct {
    int32_t length;
    union {
        uint8_t bytes[INLINED];
        struct {
            uint8_t prefix[4];
            int32_t buffer, start;
        };
    };
} View;

enum { N_FIXED_BUFFERS = 3 /* validity, views, and at the end the sizes of those between */ };
_Static_assert(sizeof(View) == 16, "a view has 16 bytes");

void release_column(Column *column)
{
    while (column->n_chunks > 0) {
        struct ArrowArray *chunk = &column->chunks[--column->n_chunks];
        chunk->release(chunk);
    }
    PyMem_Free(column->chunks);
    column->chunks = NULL;
}

static bool are_views(struct ArrowArrayStream *stream)
{
    struct ArrowSchema schema;
    if (stream->get_schema(stream, &schema) != 0)
        return false;
    bool are = strcmp(schema.format, "vu") == 0;
    schema.release(&schema);
    return are;
}

static bool append_chunk(Column *column, const struct ArrowArray *chunk)
{
    struct ArrowArray *chunks = PyMem_Realloc(column->chunks, (size_t)(column->n_chunks + 1) * sizeof *chunks);
    if (chunks == NULL) {
        PyErr_NoMemory();
        return false;
    }
    column->chunks = chunks;
    column->chunks[column->n_chunks++] = *chunk;
    column->n += chunk->length;
    return true;
}

/* Take the chunks of a stream of texts; release them whether it succeeds or not. */
bool take_column(PyObject *capsule, Column *column)
{
    *column = (Column){NULL, 0, 0};
    struct ArrowArrayStream *stream = PyCapsule_GetPointer(capsule, "arrow_array_stream");
    if (stream == NULL)
        return false;
    if (stream->release == NULL || !are_views(stream)) {
        PyErr_SetString(PyExc_ValueError, "this is no stream of texts as views");
        return false;
    }
    for (;;) {
        struct ArrowArray chunk;
        if (stream->get_next(stream, &chunk) != 0) {
            PyErr_SetString(PyExc_ValueError, "the stream of texts broke off");
            return false;
        }
        if (chunk.release == NULL)
            return true;
        if (!append_chunk(column, &chunk)) {
            chunk.release(&chunk);
            return false;
        }
    }
}

/* The text at a place of a chunk; false where its view leads outside. */
static bool text_at(const struct ArrowArray *chunk, int64_t at, Bytes *text)
{
    const uint8_t *valid = chunk->buffers[0];
    const View *view = (const View *)chunk->buffers[1] + at;
    if (valid != NULL && !(valid[at / 8] >> (at % 8) & 1)) {
        *text = (Bytes){NULL, 0};
        return true;
    }
    if (view->length <= INLINED) {
        *text = (Bytes){view->bytes, view->length};
        return view->length >= 0;
    }
    const int64_t *sizes = chunk->buffers[chunk->n_buffers - 1];
    if (view->buffer < 0 || view->buffer >= chunk->n_buffers - N_FIXED_BUFFERS || view->start < 0 ||
        view->start > sizes[view->buffer] - view->length)
        return false;
    *text = (Bytes){(const uint8_t *)chunk->buffers[2 + view->buffer] + view->start, view->length};
    return true;
}

Status walk_column(const Column *column, Visit *visit, void *context)
{
    int64_t row = 0;
    Status status = OK;
    for (int64_t i = 0; i < column->n_chunks; i++) {
        const struct ArrowArray *chunk = &column->chunks[i];
        for (int64_t at = 0; at < chunk->length && status == OK; at++) {
            Bytes text;
            status = text_at(chunk, chunk->offset + at, &text) ? visit(context, row++, text) : DAMAGED;
        }
    }
    return status;
}
