/* The share that a weight stands for, as pkgraph.recommend.ranking.score_table has it, without NumPy. */
#include "kernel.h"

#include <math.h>

/* uint32 in millionths, one a weight from 0 on. */
PyObject *score_table(int64_t n, int64_t weight_scale)
{
    PyObject *table = PyBytes_FromStringAndSize(NULL, n * (int64_t)sizeof(uint32_t));
    if (table == NULL)
        return NULL;
    uint32_t *shares = (uint32_t *)(void *)PyBytes_AS_STRING(table);
    for (int64_t weight = 0; weight < n; weight++)
        shares[weight] = (uint32_t)nearbyint(-expm1(-(double)weight / (double)weight_scale) * 1e6);
    return table;
}
