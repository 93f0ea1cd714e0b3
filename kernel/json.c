/* Picks as JSON, byte for byte what json.dumps makes of the records. */
#include "render.h"

#include <math.h>
#include <string.h>

/* Room for n more bytes. What follows writes into it without asking again. */
static bool room(Scratch *s, int64_t n) { return RESERVE(s, text, s->n_text + n); }

enum { AT_ONCE = 64 };

/* What a text may become: six bytes a byte where all are control characters, its quotation marks, and what is
 * copied too much of a short one. */
static int64_t most(Text text) { return 6 * text.length + 2 + AT_ONCE; }

#define LITERAL(out, text) literal(out, text, sizeof(text) - 1)

static inline char *literal(char *out, const char *bytes, size_t n)
{
    memcpy(out, bytes, n);
    return out + n;
}

typedef uint8_t Block __attribute__((vector_size(16)));

/* All ones where a byte must be escaped: a control character, a quotation mark or a backslash. */
static inline Block specials(Block block)
{
    return (Block)((block < 0x20) | (block == '"') | (block == '\\'));
}

static inline bool is_any(Block found)
{
    uint64_t halves[2];
    memcpy(halves, &found, sizeof halves);
    return (halves[0] | halves[1]) != 0;
}

/* INSIDE + AT_ONCE - n: all ones for n bytes, then zeros. */
static const uint8_t INSIDE[2 * AT_ONCE] = {[0 ... AT_ONCE - 1] = 0xFF};

/* Copy a text of at most n bytes as n bytes, whatever stands behind it; false where some must be escaped. The
 * lengths of texts are not foreseeable: a branch on each would cost more than what is copied too much. */
static inline bool copy_block(char *out, Text text, int n)
{
    Block found = {0};
    for (int i = 0; i < n; i += 16) {
        Block block, mask;
        memcpy(&block, text.start + i, 16);
        memcpy(&mask, INSIDE + AT_ONCE - text.length + i, 16);
        memcpy(out + i, &block, 16);
        found |= specials(block) & mask;
    }
    return !is_any(found);
}

static char *put_byte(char *out, unsigned char byte)
{
    static const char names[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    static const char hex[] = "0123456789abcdef";
    if (byte >= 0x20 && byte != '"' && byte != '\\') {
        *out++ = (char)byte;
        return out;
    }
    *out++ = '\\';
    if (byte >= 0x20 || (byte < sizeof names && names[byte] != 0)) {
        *out++ = byte >= 0x20 ? (char)byte : names[byte];
        return out;
    }
    out = LITERAL(out, "u00");
    *out++ = hex[byte >> 4];
    *out++ = hex[byte & 15];
    return out;
}

/* Sixteen bytes at a time; the last sixteen may write again what stands there. */
static char *put_long(char *out, Text text)
{
    const char *at = text.start, *end = text.start + text.length;
    while (at < end) {
        int64_t back = end - at >= 16 ? 0 : 16 - (end - at);
        Block block;
        if (back <= at - text.start && (memcpy(&block, at - back, 16), !is_any(specials(block)))) {
            memcpy(out - back, &block, 16);
            out += 16 - back;
            at += 16 - back;
        } else {
            out = put_byte(out, (unsigned char)*at++);
        }
    }
    return out;
}

static inline char *put_escaped(char *out, Text text)
{
    if (text.length <= 16 && text.readable >= 16 && copy_block(out, text, 16))
        return out + text.length;
    if (text.length <= AT_ONCE && text.readable >= AT_ONCE && copy_block(out, text, AT_ONCE))
        return out + text.length;
    return put_long(out, text);
}

/* A text in quotation marks. */
static inline char *put_text(char *out, Text text)
{
    *out++ = '"';
    out = put_escaped(out, text);
    *out++ = '"';
    return out;
}

static const uint64_t ZEROS = 0x3030303030303030ULL; /* "00000000" */

/* The eight digits of a number below 10^8, a byte each, the first one lowest. */
static inline uint64_t eight_digits(uint32_t value)
{
    uint64_t fours = value / 10000 | (uint64_t)(value % 10000) << 32;
    uint64_t hundreds = fours * 10486 >> 20 & 0x0000007F0000007FULL;
    uint64_t twos = hundreds | (fours - 100 * hundreds) << 16;
    uint64_t tens = twos * 103 >> 10 & 0x000F000F000F000FULL;
    return tens | (twos - 10 * tens) << 8;
}

static char *put_whole(char *out, uint64_t value)
{
    char digits[20];
    int n = 0;
    if (value < 100000000) {
        uint64_t eight = eight_digits((uint32_t)value);
        int zeros = eight == 0 ? 7 : __builtin_ctzll(eight) / 8;
        eight = (eight | ZEROS) >> 8 * zeros;
        memcpy(out, &eight, 8);
        return out + 8 - zeros;
    }
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (n > 0)
        *out++ = digits[--n];
    return out;
}

static char *put_signed(char *out, int64_t value)
{
    if (value < 0)
        *out++ = '-';
    return put_whole(out, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

/* A share of whole millionths as Python writes it: 0.9, 1.0, 5e-05. */
static char *put_share(char *out, int64_t micro)
{
    if (micro >= 1000000)
        return LITERAL(out, "1.0");
    if (micro == 0)
        return LITERAL(out, "0.0");
    if (micro < 100) {
        int tens = (int)micro / 10, ones = (int)micro % 10;
        *out++ = (char)('0' + (tens > 0 ? tens : ones));
        if (tens > 0 && ones > 0) {
            *out++ = '.';
            *out++ = (char)('0' + ones);
        }
        return tens > 0 ? LITERAL(out, "e-05") : LITERAL(out, "e-06");
    }
    uint64_t digits = eight_digits((uint32_t)micro); /* two zeros come first: "0." and six digits */
    uint64_t text = (digits | ZEROS) - (('0' - '.') << 8);
    memcpy(out, &text, 8);
    return out + 8 - __builtin_clzll(digits) / 8;
}

enum { PRICE_ROOM = 64 };

/* A price as Python writes it: whole cents by hand, whatever else by Python; NULL is out of memory. */
static char *put_price(char *out, double price)
{
    double cents = price * 100;
    if (!isfinite(price))
        return LITERAL(out, "null");
    if (price >= 0 && cents < 1e15 && !signbit(price)) {
        uint64_t whole = (uint64_t)(cents + 0x1p52 - 0x1p52); /* rounded; nearbyint is a call */
        if ((double)whole / 100.0 == price) {
            out = put_whole(out, whole / 100);
            out[0] = '.';
            out[1] = (char)('0' + whole / 10 % 10);
            out[2] = (char)('0' + whole % 10);
            return out + (whole % 10 != 0 ? 3 : 2);
        }
    }
    char *digits = PyOS_double_to_string(price, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (digits == NULL)
        return NULL;
    out = literal(out, digits, strnlen(digits, PRICE_ROOM - 1));
    PyMem_Free(digits);
    return out;
}

/* The bytes of a Python text; half a character becomes a question mark, as when an answer is encoded. */
static bool text_of_python(PyObject *text, PyObject **owner, Text *bytes)
{
    Py_ssize_t n;
    *owner = NULL;
    bytes->start = PyUnicode_AsUTF8AndSize(text, &n);
    bytes->length = bytes->readable = n;
    if (bytes->start != NULL)
        return true;
    PyErr_Clear();
    *owner = PyUnicode_AsEncodedString(text, "utf-8", "replace");
    if (*owner == NULL)
        return false;
    *bytes = (Text){PyBytes_AS_STRING(*owner), PyBytes_GET_SIZE(*owner), PyBytes_GET_SIZE(*owner)};
    return true;
}

static bool put_python(Scratch *s, PyObject *text)
{
    PyObject *owner;
    Text bytes;
    bool is_put = text_of_python(text, &owner, &bytes) && room(s, most(bytes));
    if (is_put)
        s->n_text = put_text(s->text + s->n_text, bytes) - s->text;
    Py_XDECREF(owner);
    return is_put;
}

static bool put(Scratch *s, const char *bytes, size_t n)
{
    if (!room(s, (int64_t)n))
        return false;
    s->n_text = literal(s->text + s->n_text, bytes, n) - s->text;
    return true;
}

#define PUT(s, text) put(s, text, sizeof(text) - 1)

/* "response-position": the closing mark moves behind the position. */
static char *put_relation(char *out, Text response, int32_t position)
{
    out = put_text(out, response);
    out[-1] = '-';
    out = put_signed(out, position);
    *out++ = '"';
    return out;
}

enum { NAMES_OF_A_PATH = 320, NAMES_OF_AN_ITEM = 160 }; /* more than names of fields and numbers take */

static Status put_path(const Graph *graph, const Asked *asked, Scratch *s, const Reason *reason, int32_t kind)
{
    const Tables *t = &graph->tables;
    const Records *r = &graph->records;
    Way way;
    Text seed = {"", 0, 0}, seed_kind = {"", 0, 0};
    bool has_seed = reason->seed >= 0;
    PyObject *owner;
    if (!read_way(t, r, reason, kind, &way) || (has_seed && !TEXT_IN(t, kind_title, KIND_WORD(t, reason->kind, KIND_TITLE), &seed_kind)))
        return DAMAGED;
    if (has_seed && !text_of_python(PySequence_Fast_GET_ITEM(asked->skus, reason->seed), &owner, &seed))
        return FAILED; /* a known SKU has no owner: its UTF-8 was asked for before */
    int64_t texts = most(seed) + most(seed_kind) + most(way.rationale) + most(way.rationale_id);
    texts += most(way.explanation) + most(way.response) + (way.via < 0 ? 0 : most(way.via_response));
    if (!room(s, texts + NAMES_OF_A_PATH))
        return FAILED;
    char *out = LITERAL(s->text + s->n_text, "{\"seed_sku\":");
    out = has_seed ? put_text(out, seed) : LITERAL(out, "null");
    out = LITERAL(out, ",\"seed_kind\":");
    out = has_seed ? put_text(out, seed_kind) : LITERAL(out, "null");
    out = put_text(LITERAL(out, ",\"rationale\":"), way.rationale);
    out = put_text(LITERAL(out, ",\"rationale_id\":"), way.rationale_id);
    out = put_text(LITERAL(out, ",\"relation_type\":"), r->type_texts[way.type]);
    out = put_text(LITERAL(out, ",\"explanation\":"), way.explanation);
    out = put_share(LITERAL(out, ",\"probability\":"), way.micro_probability);
    out = put_relation(LITERAL(out, ",\"relation_id\":"), way.response, way.position);
    out = way.is_reversed ? LITERAL(out, ",\"is_reversed\":true") : LITERAL(out, ",\"is_reversed\":false");
    out = LITERAL(out, ",\"via_relation_id\":");
    out = way.via < 0 ? LITERAL(out, "null") : put_relation(out, way.via_response, way.via_position);
    out = put_whole(LITERAL(out, ",\"edge\":"), (uint64_t)way.edge);
    *out++ = '}';
    s->n_text = out - s->text;
    return OK;
}

static Status put_item(const Graph *graph, const Asked *asked, Scratch *s, const Choice *choice, const Reason *reasons)
{
    const Tables *t = &graph->tables;
    Text sku, title, kind, category;
    int64_t probability;
    if (!TEXT_IN(t, sku_id, SKU_WORD(t, choice->sku_row, SKU_ID), &sku) ||
        !TEXT_IN(t, sku_title, SKU_WORD(t, choice->sku_row, SKU_TITLE), &title) ||
        !TEXT_IN(t, kind_title, KIND_WORD(t, choice->kind, KIND_TITLE), &kind) ||
        !TEXT(t, category_name, upper_half(KIND_WORD(t, choice->kind, KIND_CATEGORY_AND_BEST)), &category) ||
        !probability_of(t, &graph->records, &reasons[choice->first], &probability))
        return DAMAGED;
    if (!room(s, most(sku) + most(title) + most(kind) + most(category) + PRICE_ROOM + NAMES_OF_AN_ITEM))
        return FAILED;
    char *out = put_text(LITERAL(s->text + s->n_text, "{\"sku\":"), sku);
    out = put_text(LITERAL(out, ",\"title\":"), title);
    out = put_text(LITERAL(out, ",\"kind\":"), kind);
    out = put_text(LITERAL(out, ",\"category\":"), category);
    out = put_price(LITERAL(out, ",\"price\":"), price_of(t, choice->sku_row));
    if (out == NULL)
        return FAILED;
    out = put_share(LITERAL(out, ",\"score\":"), score_of(t, choice->weight));
    out = put_share(LITERAL(out, ",\"probability\":"), probability);
    out = LITERAL(out, ",\"paths\":[");
    s->n_text = out - s->text;
    for (int32_t i = choice->first; i < choice->end; i++) {
        bool is_put = i == choice->first || PUT(s, ",");
        Status status = is_put ? put_path(graph, asked, s, &reasons[i], choice->kind) : FAILED;
        if (status != OK)
            return status;
    }
    return PUT(s, "]}") ? OK : FAILED;
}

static Status put_rationales(const Tables *t, const Asked *asked, Scratch *s)
{
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(asked->rationales); i++) {
        Text text;
        int64_t row = PyLong_AsLongLong(PySequence_Fast_GET_ITEM(asked->rationales, i));
        if (!is_row(row, t->n_rationales) ||
            !TEXT(t, rationale_text, row, &text))
            return DAMAGED;
        if ((i > 0 && !PUT(s, ",")) || !room(s, most(text)))
            return FAILED;
        s->n_text = put_text(s->text + s->n_text, text) - s->text;
    }
    return OK;
}

PyObject *as_json(const Graph *graph, const Asked *asked, Scratch *s, Found found, PyObject *unknown, Status *status)
{
    s->n_text = 0;
    bool is_put = PUT(s, "{\"snapshot_id\":") && put_python(s, graph->snapshot_id) && PUT(s, ",\"items\":[");
    *status = is_put ? OK : FAILED;
    for (int64_t i = 0; *status == OK && i < found.n_choices; i++) {
        fetch_next(&graph->tables, found, i);
        is_put = i == 0 || PUT(s, ",");
        *status = is_put ? put_item(graph, asked, s, &found.choices[i], found.reasons) : FAILED;
    }
    if (*status != OK)
        return NULL;
    is_put = PUT(s, "],\"unknown_skus\":[");
    for (Py_ssize_t i = 0; is_put && i < PyList_GET_SIZE(unknown); i++)
        is_put = (i == 0 || PUT(s, ",")) && put_python(s, PyList_GET_ITEM(unknown, i));
    *status = is_put && PUT(s, "],\"rationales\":[") ? put_rationales(&graph->tables, asked, s) : FAILED;
    if (*status == OK && !PUT(s, "]}"))
        *status = FAILED;
    return *status == OK ? PyBytes_FromStringAndSize(s->text, s->n_text) : NULL;
}
