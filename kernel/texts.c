/* Texts for the compiler of snapshots: numbered as they come, or copied to where they belong. */
#include "arrow.h"

enum { AT_ONCE = 64, FIRST_SIZE = 1 << 12 };

/* Length and first four bytes of a text, and its other bytes, or where it stands if they are more than eight. */
typedef struct {
    uint64_t head, rest;
} Key;

typedef struct {
    uint32_t hash;
    int32_t code; /* its number + 1; 0: empty */
} Slot;

typedef struct {
    int64_t row;
    Key key;
    uint32_t hash;
} Waiting;

/* The texts that were numbered. */
typedef struct {
    Slot *slots;
    Key *keys;
    int64_t *first; /* row where each stands first */
    int64_t n, n_slots, keys_size, first_size;
    uint64_t seed;
    Waiting waiting[AT_ONCE]; /* what one text waits for in memory, the others wait for too */
    int n_waiting;
    int32_t *codes;
} Book;

static uint64_t mixed(uint64_t one, uint64_t other)
{
    __uint128_t product = (__uint128_t)(one ^ 0x9E3779B97F4A7C15ULL) * (other ^ 0xD1B54A32D192ED03ULL);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* What stands in a text's view: an inlined one is followed by zeros, so that its twelve bytes are all of it. */
static Key key_of(Bytes text)
{
    uint32_t prefix;
    Key key;
    memcpy(&prefix, text.start, sizeof prefix);
    memcpy(&key.rest, text.start + sizeof prefix, sizeof key.rest);
    if (text.length > INLINED)
        key.rest = (uint64_t)(uintptr_t)text.start;
    key.head = (uint64_t)prefix << 32 | (uint32_t)text.length;
    return key;
}

static uint32_t hash_of(uint64_t seed, Bytes text, Key key)
{
    uint64_t value = seed ^ key.head, word = 0;
    if (text.length <= INLINED)
        return (uint32_t)mixed(value, key.rest);
    for (int64_t at = 4; at + 8 <= text.length; at += 8) {
        memcpy(&word, text.start + at, 8);
        value = mixed(value, word);
    }
    memcpy(&word, text.start + text.length - 8, 8);
    return (uint32_t)mixed(value, word);
}

static bool are_equal(Key one, Key other)
{
    uint32_t length = (uint32_t)one.head;
    if (one.head != other.head || one.rest == other.rest || length <= INLINED)
        return one.head == other.head && one.rest == other.rest;
    return memcmp((const void *)(uintptr_t)one.rest, (const void *)(uintptr_t)other.rest, length) == 0;
}

static bool resize(Book *book, int64_t n_slots)
{
    Slot *slots = PyMem_RawCalloc((size_t)n_slots, sizeof *slots);
    if (slots == NULL)
        return false;
    for (int64_t i = 0; i < book->n_slots; i++) {
        if (book->slots[i].code == 0)
            continue;
        int64_t place = book->slots[i].hash & (n_slots - 1);
        while (slots[place].code != 0)
            place = (place + 1) & (n_slots - 1);
        slots[place] = book->slots[i];
    }
    PyMem_RawFree(book->slots);
    book->slots = slots;
    book->n_slots = n_slots;
    return true;
}

/* Number the texts that wait, in their order. */
static Status settle(Book *book)
{
    for (int i = 0; i < book->n_waiting; i++) {
        const Slot *slot = &book->slots[book->waiting[i].hash & (book->n_slots - 1)];
        if (slot->code != 0)
            FETCH(&book->keys[slot->code - 1]);
    }
    for (int i = 0; i < book->n_waiting; i++) {
        const Waiting *w = &book->waiting[i];
        int64_t place = w->hash & (book->n_slots - 1);
        for (const Slot *slot; (slot = &book->slots[place])->code != 0; place = (place + 1) & (book->n_slots - 1))
            if (slot->hash == w->hash && are_equal(book->keys[slot->code - 1], w->key))
                break;
        if (book->slots[place].code == 0) {
            if (book->n >= INT32_MAX || !RESERVE(book, keys, book->n + 1) || !RESERVE(book, first, book->n + 1))
                return FAILED;
            book->keys[book->n] = w->key;
            book->first[book->n++] = w->row;
            book->slots[place] = (Slot){w->hash, (int32_t)book->n};
        }
        book->codes[w->row] = book->slots[place].code - 1;
    }
    book->n_waiting = 0;
    return 2 * (book->n + AT_ONCE) <= book->n_slots || resize(book, 2 * book->n_slots) ? OK : FAILED;
}

static Status number_text(void *context, int64_t row, Bytes text)
{
    Book *book = context;
    if (text.start == NULL) {
        book->codes[row] = -1;
        return OK;
    }
    Waiting *w = &book->waiting[book->n_waiting++];
    w->row = row;
    w->key = key_of(text);
    w->hash = hash_of(book->seed, text, w->key);
    FETCH(&book->slots[w->hash & (book->n_slots - 1)]);
    return book->n_waiting < AT_ONCE ? OK : settle(book);
}

static Status number_column(const Column *column, Book *book)
{
    if (!resize(book, FIRST_SIZE))
        return FAILED;
    book->seed = (uint64_t)(uintptr_t)book->slots; /* who writes texts that collide does not know it */
    Status status = walk_column(column, number_text, book);
    return status == OK ? settle(book) : status;
}

static PyObject *raise_of_texts(Status status)
{
    if (status == FAILED)
        return PyErr_NoMemory();
    PyErr_SetString(PyExc_ValueError, "the texts do not fit where they belong");
    return NULL;
}

/* Texts that are numbered need int32 codes of their length; bytes of int64: the row where each stands first. */
PyObject *number_texts(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *capsule, *found = NULL;
    Py_buffer codes;
    Column column;
    if (!PyArg_ParseTuple(args, "Ow*", &capsule, &codes))
        return NULL;
    if (take_column(capsule, &column)) {
        Book book = {.codes = codes.buf};
        Status status = DAMAGED;
        if (codes.len == 4 * column.n) {
            Py_BEGIN_ALLOW_THREADS
            status = number_column(&column, &book);
            Py_END_ALLOW_THREADS
        }
        found = status != OK ? raise_of_texts(status)
                             : PyBytes_FromStringAndSize((const char *)book.first, 8 * book.n);
        PyMem_RawFree(book.slots);
        PyMem_RawFree(book.keys);
        PyMem_RawFree(book.first);
    }
    release_column(&column);
    PyBuffer_Release(&codes);
    return found;
}

/* Where texts are copied to: text i to data[offsets[r]] up to data[offsets[r + 1]], r = rows[i], nowhere if r < 0. */
typedef struct {
    uint8_t *data;
    const int64_t *offsets;
    const int32_t *rows;
    int64_t n_data, n_offsets;
} Places;

static Status place_text(void *context, int64_t row, Bytes text)
{
    const Places *p = context;
    int64_t start, end;
    if (p->rows[row] < 0)
        return OK;
    if (text.start == NULL || !slice_of(p->offsets, p->n_offsets, p->rows[row], p->n_data, &start, &end) ||
        end - start != text.length)
        return DAMAGED;
    memcpy(p->data + start, text.start, (size_t)text.length);
    return OK;
}

PyObject *place_texts(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *capsule;
    Py_buffer data, offsets, rows;
    Column column;
    Status status = DAMAGED;
    if (!PyArg_ParseTuple(args, "w*y*y*O", &data, &offsets, &rows, &capsule))
        return NULL;
    bool is_taken = take_column(capsule, &column);
    if (is_taken && offsets.itemsize == 8 && rows.itemsize == 4 && rows.len == 4 * column.n) {
        Places places = {data.buf, offsets.buf, rows.buf, data.len, offsets.len / 8};
        Py_BEGIN_ALLOW_THREADS
        status = walk_column(&column, place_text, &places);
        Py_END_ALLOW_THREADS
    }
    release_column(&column);
    Py_buffer *views[] = {&data, &offsets, &rows};
    for (int i = 0; i < 3; i++)
        PyBuffer_Release(views[i]);
    if (!is_taken)
        return NULL;
    if (status != OK)
        return raise_of_texts(status);
    Py_RETURN_NONE;
}
