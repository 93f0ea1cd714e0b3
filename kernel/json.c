/* Picks as JSON, byte for byte what json.dumps makes of the records. */
#include "render.h"

#include <math.h>
#include <string.h>

#define LITERAL(s, text) put(s, text, sizeof(text) - 1)

static bool room(Scratch *s, int64_t n) { return RESERVE(s, text, s->n_text + n); }

static bool put(Scratch *s, const char *bytes, int64_t n)
{
    if (!room(s, n))
        return false;
    memcpy(s->text + s->n_text, bytes, (size_t)n);
    s->n_text += n;
    return true;
}

/* Whether one of eight bytes must be escaped: a control character, a quotation mark or a backslash. */
static bool has_special(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101ULL, highs = 0x8080808080808080ULL;
    uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\';
    uint64_t below = (word - ones * 0x20) & ~word;
    return ((below | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & highs) != 0;
}

static bool put_escaped(Scratch *s, unsigned char byte)
{
    static const char names[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    char text[8];
    if (byte == '"' || byte == '\\' || (byte < sizeof names && names[byte] != 0)) {
        text[0] = '\\';
        text[1] = byte == '"' || byte == '\\' ? (char)byte : names[byte];
        return put(s, text, 2);
    }
    if (byte < 0x20) {
        PyOS_snprintf(text, sizeof text, "\\u%04x", byte);
        return put(s, text, 6);
    }
    return put(s, (const char *)&byte, 1);
}

/* A text in quotation marks. */
static bool put_text(Scratch *s, const char *bytes, int64_t n)
{
    if (!room(s, n + 2))
        return false;
    s->text[s->n_text++] = '"';
    int64_t i = 0;
    while (i < n) {
        uint64_t word;
        if (n - i >= 8) {
            memcpy(&word, bytes + i, 8);
            if (!has_special(word)) {
                if (!room(s, n - i + 2))
                    return false;
                memcpy(s->text + s->n_text, &word, 8);
                s->n_text += 8;
                i += 8;
                continue;
            }
        }
        unsigned char byte = (unsigned char)bytes[i++];
        if (byte >= 0x20 && byte != '"' && byte != '\\') {
            if (!room(s, n - i + 3))
                return false;
            s->text[s->n_text++] = (char)byte;
        } else if (!put_escaped(s, byte)) {
            return false;
        }
    }
    return LITERAL(s, "\"");
}

static bool put_whole(Scratch *s, int64_t value)
{
    char digits[24];
    return put(s, digits, PyOS_snprintf(digits, sizeof digits, "%lld", (long long)value));
}

/* A share of whole millionths as Python writes it: 0.9, 1.0, 5e-05. */
static bool put_share(Scratch *s, int64_t micro)
{
    char digits[16];
    if (micro >= 1000000)
        return LITERAL(s, "1.0");
    if (micro == 0)
        return LITERAL(s, "0.0");
    if (micro < 100) {
        int tens = (int)micro / 10, ones = (int)micro % 10;
        int n = tens == 0   ? PyOS_snprintf(digits, sizeof digits, "%de-06", ones)
                : ones == 0 ? PyOS_snprintf(digits, sizeof digits, "%de-05", tens)
                            : PyOS_snprintf(digits, sizeof digits, "%d.%de-05", tens, ones);
        return put(s, digits, n);
    }
    memcpy(digits, "0.000000", 8);
    for (int place = 7; micro > 0; place--, micro /= 10)
        digits[place] = (char)('0' + micro % 10);
    int64_t n = 8;
    while (digits[n - 1] == '0')
        n--;
    return put(s, digits, n);
}

static bool put_price(Scratch *s, double price)
{
    if (!isfinite(price))
        return LITERAL(s, "null");
    char *digits = PyOS_double_to_string(price, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (digits == NULL)
        return false;
    bool is_put = put(s, digits, (int64_t)strlen(digits));
    PyMem_Free(digits);
    return is_put;
}

static bool put_text_at(Scratch *s, Text text) { return put_text(s, text.start, text.length); }

/* A Python text; half a character becomes a question mark, as when the answer is encoded. */
static bool put_python(Scratch *s, PyObject *text)
{
    Py_ssize_t n;
    const char *bytes = PyUnicode_AsUTF8AndSize(text, &n);
    if (bytes != NULL)
        return put_text(s, bytes, n);
    PyErr_Clear();
    PyObject *encoded = PyUnicode_AsEncodedString(text, "utf-8", "replace");
    if (encoded == NULL)
        return false;
    bool is_put = put_text(s, PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded));
    Py_DECREF(encoded);
    return is_put;
}

/* "response-position": the closing mark moves behind the position. */
static bool put_relation(const Tables *t, Scratch *s, Text response, int32_t statement)
{
    if (!put_text_at(s, response))
        return false;
    s->n_text--;
    return LITERAL(s, "-") && put_whole(s, t->statement_position[statement]) && LITERAL(s, "\"");
}

static Status put_path(const Tables *t, const Records *r, const Asked *asked, Scratch *s, int at, int32_t kind)
{
    Way way;
    Text seed_kind = {"", 0};
    const Source source = s->sources[s->arrivals[at].source];
    if (!next_way(t, r, s, at, kind, &way))
        return DAMAGED;
    bool has_seed = source.seed >= 0;
    if (has_seed && !TEXT(t, kind_title, source.node, &seed_kind))
        return DAMAGED;
    bool is_put = LITERAL(s, "{\"seed_sku\":");
    is_put &= has_seed ? put_python(s, PySequence_Fast_GET_ITEM(asked->skus, source.seed)) : LITERAL(s, "null");
    is_put &= LITERAL(s, ",\"seed_kind\":");
    is_put &= has_seed ? put_text_at(s, seed_kind) : LITERAL(s, "null");
    is_put &= LITERAL(s, ",\"rationale\":") && put_text_at(s, way.rationale);
    is_put &= LITERAL(s, ",\"rationale_id\":") && put_text_at(s, way.rationale_id);
    is_put &= LITERAL(s, ",\"relation_type\":") && put_python(s, r->types[way.type]);
    is_put &= LITERAL(s, ",\"explanation\":") && put_text_at(s, way.explanation);
    is_put &= LITERAL(s, ",\"probability\":") && put_share(s, way.micro_probability);
    is_put &= LITERAL(s, ",\"relation_id\":") && put_relation(t, s, way.response, way.statement);
    is_put &= way.is_reversed ? LITERAL(s, ",\"is_reversed\":true") : LITERAL(s, ",\"is_reversed\":false");
    is_put &= LITERAL(s, ",\"via_relation_id\":");
    is_put &= way.via < 0 ? LITERAL(s, "null") : put_relation(t, s, way.via_response, way.via_statement);
    is_put &= LITERAL(s, ",\"edge\":") && put_whole(s, way.edge) && LITERAL(s, "}");
    return is_put ? OK : FAILED;
}

static Status put_item(const Tables *t, const Records *r, const Asked *asked, Scratch *s, const Pick *pick)
{
    const Target target = s->targets[pick->target];
    Text sku, title, kind, category;
    Way best;
    int places[128];
    int n = sorted_arrivals(s, &target, places, 128);
    if (!TEXT(t, sku_id, pick->sku_row, &sku) || !TEXT(t, sku_title, pick->sku_row, &title) ||
        !TEXT(t, kind_title, target.kind, &kind) ||
        !TEXT(t, category_name, t->kind_category[target.kind], &category) ||
        !next_way(t, r, s, places[0], target.kind, &best))
        return DAMAGED;
    bool is_put = LITERAL(s, "{\"sku\":") && put_text_at(s, sku);
    is_put &= LITERAL(s, ",\"title\":") && put_text_at(s, title);
    is_put &= LITERAL(s, ",\"kind\":") && put_text_at(s, kind);
    is_put &= LITERAL(s, ",\"category\":") && put_text_at(s, category);
    is_put &= LITERAL(s, ",\"price\":") && put_price(s, t->sku_price[pick->sku_row]);
    is_put &= LITERAL(s, ",\"score\":") && put_share(s, score_of(t, target.weight));
    is_put &= LITERAL(s, ",\"probability\":") && put_share(s, best.micro_probability);
    is_put &= LITERAL(s, ",\"paths\":[");
    for (int i = 0; is_put && i < n; i++) {
        is_put &= i == 0 || LITERAL(s, ",");
        Status status = put_path(t, r, asked, s, places[i], target.kind);
        if (status != OK)
            return status;
    }
    return is_put && LITERAL(s, "]}") ? OK : FAILED;
}

static Status put_rationales(const Tables *t, const Asked *asked, Scratch *s)
{
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(asked->rationales); i++) {
        Text text;
        int64_t row = PyLong_AsLongLong(PySequence_Fast_GET_ITEM(asked->rationales, i));
        if (!TEXT(t, rationale_text, row, &text))
            return DAMAGED;
        if ((i > 0 && !LITERAL(s, ",")) || !put_text_at(s, text))
            return FAILED;
    }
    return OK;
}

PyObject *as_json(const Tables *t, const Records *r, const Asked *asked, Scratch *s, PyObject *unknown,
                  PyObject *snapshot_id, Status *status)
{
    s->n_text = 0;
    bool is_put = LITERAL(s, "{\"snapshot_id\":") && put_python(s, snapshot_id) && LITERAL(s, ",\"items\":[");
    *status = is_put ? OK : FAILED;
    for (int64_t i = 0; *status == OK && i < s->n_picks; i++) {
        if (i > 0 && !LITERAL(s, ","))
            *status = FAILED;
        else
            *status = put_item(t, r, asked, s, &s->picks[i]);
    }
    if (*status != OK)
        return NULL;
    is_put = LITERAL(s, "],\"unknown_skus\":[");
    for (Py_ssize_t i = 0; is_put && i < PyList_GET_SIZE(unknown); i++)
        is_put = (i == 0 || LITERAL(s, ",")) && put_python(s, PyList_GET_ITEM(unknown, i));
    *status = is_put && LITERAL(s, "],\"rationales\":[") ? put_rationales(t, asked, s) : FAILED;
    if (*status == OK && !LITERAL(s, "]}"))
        *status = FAILED;
    return *status == OK ? PyBytes_FromStringAndSize(s->text, s->n_text) : NULL;
}
