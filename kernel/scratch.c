/* Growing the working memory of a question; needs no lock of the interpreter. */
#include "kernel.h"

bool grow(void **items, int64_t *size, int64_t needed, size_t width)
{
    int64_t wanted = *size > 32 ? *size : 32;
    while (wanted < needed)
        wanted *= 2;
    void *found = PyMem_RawRealloc(*items, (size_t)wanted * width);
    if (found == NULL)
        return false;
    *items = found;
    *size = wanted;
    return true;
}

void free_scratch(Scratch *s)
{
    if (s == NULL)
        return;
    PyMem_RawFree(s->sources);
    PyMem_RawFree(s->links);
    PyMem_RawFree(s->arrivals);
    PyMem_RawFree(s->targets);
    PyMem_RawFree(s->slots);
    PyMem_RawFree(s->heap);
    PyMem_RawFree(s->picks);
    PyMem_RawFree(s->choices);
    PyMem_RawFree(s->reasons);
    PyMem_RawFree(s->taken);
    PyMem_RawFree(s->hidden);
    PyMem_RawFree(s->text);
    PyMem_RawFree(s);
}
