/* Growing the working memory of a question. */
#include "kernel.h"

bool grow(void **items, int64_t *size, int64_t needed, size_t width)
{
    int64_t wanted = *size > 32 ? *size : 32;
    while (wanted < needed)
        wanted *= 2;
    void *found = PyMem_Realloc(*items, (size_t)wanted * width);
    if (found == NULL) {
        PyErr_NoMemory();
        return false;
    }
    *items = found;
    *size = wanted;
    return true;
}

void free_scratch(Scratch *s)
{
    if (s == NULL)
        return;
    PyMem_Free(s->sources);
    PyMem_Free(s->arrivals);
    PyMem_Free(s->targets);
    PyMem_Free(s->slots);
    PyMem_Free(s->heap);
    PyMem_Free(s->picks);
    PyMem_Free(s->taken);
    PyMem_Free(s->hidden);
    PyMem_Free(s->text);
    PyMem_Free(s);
}
