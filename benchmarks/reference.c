/* The floor: one pass over precomputed lists in C, from kinds that were looked up already to the ten best
 * targets and the edge that explains each. No SKU is looked up, no text is read, nothing is checked. */
#include <stdint.h>
#include <string.h>
#include <time.h>

enum { SLOTS = 4096, K = 10 };

typedef struct {
    int32_t target, edge;
    uint64_t weight;
    uint32_t heaviest;
} Entry;

static int is_before(const Entry *a, const Entry *b)
{
    return a->weight != b->weight ? a->weight > b->weight : a->target < b->target;
}

static int best_ten(const int64_t *offsets, const int32_t *targets, const uint32_t *weights, const int32_t *edges,
                    const int32_t *products, const int32_t *seeds, int n_seeds, Entry *best)
{
    static int16_t slots[SLOTS];
    static Entry entries[SLOTS];
    int n = 0, n_best = 0;
    memset(slots, 0, sizeof slots);
    for (int i = 0; i < n_seeds; i++)
        for (int64_t row = offsets[seeds[i]]; row < offsets[seeds[i] + 1]; row++) {
            uint32_t place = (uint32_t)targets[row] * 2654435769U >> 20;
            while (slots[place] != 0 && entries[slots[place] - 1].target != targets[row])
                place = (place + 1) % SLOTS;
            if (slots[place] == 0) {
                entries[n] = (Entry){targets[row], -1, 0, 0};
                slots[place] = (int16_t)++n;
            }
            Entry *entry = &entries[slots[place] - 1];
            entry->weight += weights[row];
            if (weights[row] > entry->heaviest) {
                entry->heaviest = weights[row];
                entry->edge = edges[row];
            }
        }
    for (int i = 0; i < n; i++) {
        int is_seed = 0;
        for (int j = 0; j < n_seeds; j++)
            is_seed |= entries[i].target == products[j];
        if (is_seed || (n_best == K && !is_before(&entries[i], &best[K - 1])))
            continue;
        int place = n_best < K ? n_best++ : K - 1;
        for (; place > 0 && is_before(&entries[i], &best[place - 1]); place--)
            best[place] = best[place - 1];
        best[place] = entries[i];
    }
    return n_best;
}

static int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* Answer every question (seeds at[i] to at[i + 1] - 1, ascending kinds) and note its nanoseconds. */
void run(const int64_t *offsets, const int32_t *targets, const uint32_t *weights, const int32_t *edges,
         const int32_t *products, const int32_t *seeds, const int32_t *at, int n_questions, int64_t *taken, int32_t *found_targets,
         int32_t *found_edges, int32_t *found)
{
    for (int i = 0; i < n_questions; i++) {
        Entry best[K];
        int64_t start = now_ns();
        int n = best_ten(offsets, targets, weights, edges, products + at[i], seeds + at[i], at[i + 1] - at[i], best);
        taken[i] = now_ns() - start;
        found[i] = n;
        for (int j = 0; j < n; j++) {
            found_targets[i * K + j] = best[j].target;
            found_edges[i * K + j] = best[j].edge;
        }
    }
}
